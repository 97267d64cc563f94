"""Heuristic rules for documents. A rule looks at one and says whether it breaks it.

The thresholds are per language, in `limits.py`: English ones applied to Chinese keep nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from baichuan_jax.data.characters import BRACKET, BROKEN, DIGIT, PUNCTUATION, STOP, SYMBOL
from baichuan_jax.data.rules.blocked import BlockedWords
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.facts import REPEATED, Facts
from baichuan_jax.data.rules.limits import LIMITS, Limits, limits_of
from baichuan_jax.data.rules.repetition import repeated_share

MOJIBAKE = re.compile("锟斤拷|烫烫烫|Ã[\u0080-\u00bf]|â€")
PROSE = 200  # letters from which a text ought to have punctuation
FEW_LINES, SOME_LINES = 5, 100  # below them lines say nothing about a list; nor about an index, as a poem is none


class DocumentRules:
    """The rules for documents."""

    def __init__(self, cfg: FilterConfig):
        self._blocked = BlockedWords(cfg.blocked_words)
        self._max_blocked = cfg.max_blocked

    def broken(self, facts: Facts, pruned: Sequence[int] | int = 0) -> list[str | None]:
        """Returns the name of the first rule that each document breaks, or None if it keeps them all.

        pruned: characters that `prune` took out of it.
        """
        limits = limits_of(facts.languages)
        reasons: list[str | None] = [None] * len(facts.texts)
        counted = (_by_pruned(facts, limits, np.array(pruned)), _by_characters(facts, limits), _by_lines(facts, limits))
        for reason, broken in reversed([rule for rules in counted for rule in rules.items()]):
            for number in np.flatnonzero(broken).tolist():
                reasons[number] = reason  # the first rule comes last
        repeats = (facts.layout[REPEATED] > limits.max_repeated_share * facts.visible).tolist()
        for number, reason in enumerate(reasons):
            if reason is None:
                reasons[number] = self._by_text(facts, number, repeats[number])
        return reasons

    def _by_text(self, facts: Facts, number: int, repeats: bool) -> str | None:
        """Returns the first of the other rules that a document breaks. repeats: whether its lines may repeat."""
        text, language = facts.texts[number], facts.languages[number]
        limits = LIMITS[language]
        if text.count("orem ipsum") > limits.max_placeholders * len(text):
            return "placeholder"  # text without meaning that fills the pages of unfinished sites
        if number in facts.odd and len(MOJIBAKE.findall(text)) > limits.max_broken_share * facts.visible[number]:
            return "broken_text"  # bytes that were decoded with the wrong table at some time in the past
        if repeats and _repeats_lines(text, limits.max_repeated_share * facts.visible[number]):
            return "repeated_lines"
        if repeated_share(text, language) > limits.max_repeated_runs:
            return "repetitive"
        if self._blocked.count(text) > self._max_blocked:
            return "blocked_words"
        return None


def _by_pruned(facts: Facts, limits: Limits, pruned: np.ndarray) -> dict[str, np.ndarray]:
    return {"boilerplate": pruned > limits.max_pruned_share * (pruned + facts.kinds.sum(axis=0))}


def _by_characters(facts: Facts, limits: Limits) -> dict[str, np.ndarray]:
    kinds, letters, visible = facts.kinds, facts.letters, facts.visible
    punctuation = kinds[STOP] + kinds[BRACKET] + kinds[PUNCTUATION]
    return {
        "too_short": letters < limits.min_letters,
        "too_long": kinds.sum(axis=0) > limits.max_characters,
        "broken_text": kinds[BROKEN] > limits.max_broken_share * visible,  # bytes that were not UTF-8
        "few_letters": letters < limits.min_letter_share * visible,
        "many_digits": kinds[DIGIT] > limits.max_digit_share * visible,
        "many_symbols": kinds[SYMBOL] > limits.max_symbol_share * visible,
        "little_punctuation": (letters >= PROSE) & (punctuation < limits.min_punctuation * visible),
    }


def _by_lines(facts: Facts, limits: Limits) -> dict[str, np.ndarray]:
    visible, (words, lines, bullets, ellipses, loose, longest, _) = facts.visible, facts.layout
    return {
        "word_length": (visible < limits.min_word * words) | (visible > limits.max_word * words),
        # Key words have no end; a line is taken for a sentence, so that headings have.
        "long_sentences": visible > limits.max_sentence * (facts.kinds[STOP] + lines),
        "long_lines": longest > limits.max_line,
        "bullets": (lines >= FEW_LINES) & (bullets > limits.max_bullet_share * lines),
        "ellipses": (lines >= FEW_LINES) & (ellipses > limits.max_ellipsis_share * lines),
        "loose_lines": (lines >= SOME_LINES) & (loose > limits.max_loose_share * lines),
    }


def _repeats_lines(text: str, most: float) -> bool:
    """Returns whether lines that stand in the text already have more than so many characters, without indentation."""
    lines = text.split("\n")
    return _characters(lines) - _characters(set(lines)) > most


def _characters(lines: Iterable[str]) -> int:
    return sum(map(len, map(str.strip, lines)))
