"""Heuristic rules for documents. A rule looks at one and says whether it breaks it.

The thresholds are per language, in `limits.py`: English ones applied to Chinese keep nothing.
"""

from __future__ import annotations

import re

from baichuan_jax.data.characters import BRACKET, BROKEN, DIGIT, HAN, LETTER, PUNCTUATION, STOP, SYMBOL
from baichuan_jax.data.rules.blocked import BlockedWords
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.facts import REPEATED, Facts
from baichuan_jax.data.rules.limits import LIMITS, Limits
from baichuan_jax.data.rules.repetition import repeated_share

MOJIBAKE = re.compile("锟斤拷|烫烫烫|Ã[\u0080-\u00bf]|â€")
PROSE = 200  # letters from which a text ought to have punctuation
FEW_LINES, SOME_LINES = 5, 100  # below them lines say nothing about a list; nor about an index, as a poem is none


class DocumentRules:
    """The rules for documents."""

    def __init__(self, cfg: FilterConfig):
        self._blocked = BlockedWords(cfg.blocked_words)
        self._max_blocked = cfg.max_blocked

    def broken(self, facts: Facts, pruned: int = 0) -> str | None:
        """Returns the name of the first rule that a document breaks, or None if it keeps them all.

        pruned: characters that `prune` took out of it.
        """
        limits = LIMITS[facts.language]
        if pruned > limits.max_pruned_share * (pruned + len(facts.text)):
            return "boilerplate"
        reason = _by_characters(facts, limits) or _by_lines(facts, limits) or _by_text(facts, limits)
        if reason is None and self._blocked.count(facts.text) > self._max_blocked:
            return "blocked_words"
        return reason


def _by_characters(facts: Facts, limits: Limits) -> str | None:
    kinds, letters, visible = facts.kinds, facts.letters, facts.visible
    punctuation = kinds[STOP] + kinds[BRACKET] + kinds[PUNCTUATION]
    if letters < limits.min_letters:
        return "too_short"
    if len(facts.text) > limits.max_characters:
        return "too_long"
    if kinds[BROKEN] > limits.max_broken_share * visible:
        return "broken_text"  # bytes that were not UTF-8
    if letters < limits.min_letter_share * visible:
        return "few_letters"
    if kinds[DIGIT] > limits.max_digit_share * visible:
        return "many_digits"
    if kinds[SYMBOL] > limits.max_symbol_share * visible:
        return "many_symbols"
    if letters >= PROSE and punctuation < limits.min_punctuation * visible:
        return "little_punctuation"
    return None


def _by_lines(facts: Facts, limits: Limits) -> str | None:
    words, lines, bullets, ellipses, loose, longest, _ = facts.layout
    if not limits.min_word * words <= facts.visible <= limits.max_word * words:
        return "word_length"
    if facts.visible > limits.max_sentence * (facts.kinds[STOP] + lines):
        return "long_sentences"  # key words have no end; a line is taken for a sentence, so that headings have
    if longest > limits.max_line:
        return "long_lines"
    if lines >= FEW_LINES and bullets > limits.max_bullet_share * lines:
        return "bullets"
    if lines >= FEW_LINES and ellipses > limits.max_ellipsis_share * lines:
        return "ellipses"
    if lines >= SOME_LINES and loose > limits.max_loose_share * lines:
        return "loose_lines"
    return None


def _by_text(facts: Facts, limits: Limits) -> str | None:
    text = facts.text
    if text.count("orem ipsum") > limits.max_placeholders * len(text):
        return "placeholder"  # text without meaning that fills the pages of unfinished sites
    if _mojibake(facts) > limits.max_broken_share * facts.visible:
        return "broken_text"  # bytes that were decoded with the wrong table at some time in the past
    most = limits.max_repeated_share * facts.visible
    if facts.layout[REPEATED] > most and _repeats_lines(text, most):
        return "repeated_lines"
    if repeated_share(text, facts.language) > limits.max_repeated_runs:
        return "repetitive"
    return None


def _mojibake(facts: Facts) -> int:
    # Looking for plain strings first is several times faster than the pattern.
    text = facts.text
    wrong_han = facts.kinds[HAN] and ("锟斤" in text or "烫烫" in text)
    wrong_latin = facts.kinds[LETTER] and ("Ã" in text or "â€" in text)
    return len(MOJIBAKE.findall(text)) if wrong_han or wrong_latin else 0


def _repeats_lines(text: str, most: float) -> bool:
    """Returns whether lines that stand in the text already have more than so many characters, without indentation."""
    lines = text.split("\n")
    return sum(len(line.strip()) for line in lines) - sum(len(line.strip()) for line in set(lines)) > most
