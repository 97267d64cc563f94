"""Heuristic rules for documents. A rule tells whether a document violates it.

The thresholds are per language, in `limits.py`: English ones applied to Chinese keep nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from baichuan_jax.data.characters import BRACKET, BROKEN, DIGIT, HAN, PUNCTUATION, STOP, SYMBOL
from baichuan_jax.data.language import Language, middle
from baichuan_jax.data.rules.blocked import BlockedWords
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.content import in_letters, prose
from baichuan_jax.data.rules.facts import LINES, REPEATED, Facts, recounted
from baichuan_jax.data.rules.limits import LIMITS, Limits, limits_of
from baichuan_jax.data.rules.repetition import repeated_share

AGAIN = re.compile(r"(?P<mark>[^\w\s.。…-])(?P=mark)++")  # repeated marks; no ellipses, no arrows
MOJIBAKE = re.compile("锟斤拷|烫烫烫|Ã[\u0080-\u00bf]|â€")
FEW_BROKEN = 2  # characters
PROSE = 200  # letters from which a text is required to have punctuation
ENOUGH = 1000  # characters in distinct lines: a reference that repeats its notes has much other text
# Below them lines say nothing about a list; little about texts that are cut short; nothing about an index, as a poem is
# none.
FEW_LINES, MORE_LINES, SOME_LINES = 5, 10, 100


# Rules that formulas, the choices of a question or the frame of a table may violate like noise.
SECOND_LOOK = {"too_short", "few_letters", "many_digits", "many_symbols", "word_length", "ellipses"}
SECOND_LOOK |= {"long_sentences", "bullets"}
PROSE_LANGUAGES = {"zh", "en", "other"}
SAMPLE = 1 << 15  # characters of a doubtful text that are judged again, from its middle
SAYS_SOMETHING = 3  # times the least letters: a text with so many may end in "~~~~~~"


class DocumentRules:
    """The rules for documents."""

    def __init__(self, cfg: FilterConfig):
        self._blocked = BlockedWords(cfg.blocked_words)
        self._max_blocked = cfg.max_blocked

    def broken(self, facts: Facts, pruned: Sequence[int] | int = 0) -> list[str | None]:
        """Return the name of the first rule that each document violates, or None.

        pruned: number of characters that `prune` removed from it.
        """
        pruned = np.broadcast_to(pruned, len(facts.texts))
        reasons = _counted(facts, pruned)
        doubtful = [number for number, reason in enumerate(reasons) if reason in SECOND_LOOK]
        doubtful = [number for number in doubtful if facts.languages[number] in PROSE_LANGUAGES]
        if doubtful:
            again = _counted(recounted(facts, doubtful, _worded), np.zeros(len(doubtful)))
            for number, reason in zip(doubtful, again):
                reasons[number] = reason
        most_repeated = limits_of(facts.languages).max_repeated_share * facts.visible
        repeats = (facts.layout[REPEATED] > most_repeated).tolist()
        for number, reason in enumerate(reasons):
            if reason is None:
                reasons[number] = self._by_text(facts, number, repeats[number])
        return reasons

    def _by_text(self, facts: Facts, number: int, repeats: bool) -> str | None:
        """Return the first of the other rules that a document violates. repeats: whether its lines may repeat."""
        text, language = facts.texts[number], facts.languages[number]
        limits = LIMITS[language]
        if text.count("orem ipsum") > limits.max_placeholders * len(text):
            return "placeholder"  # filler text of unfinished sites
        if number in facts.odd and len(MOJIBAKE.findall(text)) > limits.max_broken_share * facts.visible[number]:
            return "broken_text"  # mojibake: decoded with the wrong table before it was collected
        if repeats and _repeats_lines(text, limits) and _repeats_lines(prose(text), limits):
            return "repeated_lines"
        if repeated_share(text, language) > limits.max_repeated_runs:
            distinct = "\n".join(dict.fromkeys(text.split("\n")))
            text = prose(middle(distinct, SAMPLE))
            if repeated_share(text, language) > limits.max_repeated_runs:
                return "repetitive"
        if self._blocked.count(text) > self._max_blocked:
            return "blocked_words"
        return None


def _counted(facts: Facts, pruned: np.ndarray) -> list[str | None]:
    """Return the name of the first rule that the counts of each document violate, or None."""
    limits = limits_of(facts.languages)
    reasons: list[str | None] = [None] * len(facts.texts)
    boilerplate = pruned > limits.max_pruned_share * (pruned + facts.kinds.sum(axis=0))
    counted = ({"boilerplate": boilerplate}, _by_characters(facts, limits), _by_lines(facts, limits))
    for reason, broken in reversed([rule for rules in counted for rule in rules.items()]):
        for number in np.flatnonzero(broken).tolist():
            reasons[number] = reason  # in reverse, so the first rule wins
    return reasons


def _by_characters(facts: Facts, limits: Limits) -> dict[str, np.ndarray]:
    kinds, letters, visible = facts.kinds, facts.letters, facts.visible
    punctuation = kinds[STOP] + kinds[BRACKET] + kinds[PUNCTUATION]
    lines = facts.layout[LINES]
    verse = (lines >= FEW_LINES) & (visible >= limits.min_verse * lines) & (visible <= limits.max_verse * lines)
    return {
        "too_short": letters + (limits.ideograph - 1) * kinds[HAN] < limits.min_letters,
        "too_long": kinds.sum(axis=0) > limits.max_characters,
        # Undecodable bytes; a page may contain one or two such characters of its own.
        "broken_text": (kinds[BROKEN] > limits.max_broken_share * visible)
        & ((kinds[BROKEN] > FEW_BROKEN) | (kinds[BROKEN] > limits.max_few_broken_share * visible)),
        "few_letters": letters < limits.min_letter_share * visible,
        "many_digits": kinds[DIGIT] > limits.max_digit_share * visible,
        "many_symbols": kinds[SYMBOL] > limits.max_symbol_share * visible,
        "little_punctuation": (letters >= PROSE) & (punctuation < limits.min_punctuation * visible) & ~verse,
    }


def _by_lines(facts: Facts, limits: Limits) -> dict[str, np.ndarray]:
    visible, (words, lines, bullets, ellipses, loose, longest, _) = facts.visible, facts.layout
    return {
        "word_length": (visible < limits.min_word * words) | (visible > limits.max_word * words),
        # Key words have no end; a line is taken for a sentence, so that headings have.
        "long_sentences": visible > limits.max_sentence * (facts.kinds[STOP] + lines),
        "long_lines": longest > limits.max_line,
        "bullets": (lines >= FEW_LINES) & (bullets > limits.max_bullet_share * lines),
        "ellipses": (lines >= FEW_LINES)
        & (ellipses > np.where(lines < MORE_LINES, limits.max_few_ellipses_share, limits.max_ellipsis_share) * lines),
        "loose_lines": (lines >= SOME_LINES) & (loose > limits.max_loose_share * lines),
    }


def _worded(text: str, letters: int, language: Language) -> str:
    """Return a doubtful text in the form in which it is judged again. letters: number of its letters."""
    enough = letters >= SAYS_SOMETHING * LIMITS[language].min_letters
    text = middle(text, SAMPLE)
    return in_letters(AGAIN.sub(r"\g<mark>", text) if enough else text)


def _repeats_lines(text: str, limits: Limits) -> bool:
    """Return whether most of a text is repeated lines, and little is left without them.

    The refrain of a song is several lines that repeat together; it may be a larger share than lines that repeat alone.
    """
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    size, different = _characters(lines), _characters(set(lines))
    if size - different <= limits.max_repeated_share * size:
        return False
    if size - different > limits.max_refrain_share * size or _longest_copy(lines) > limits.max_repeated_share * size:
        return True
    return different < ENOUGH and _characters(_repeated_alone(lines)) > limits.max_repeated_share * size


def _repeated_alone(lines: Sequence[str]) -> list[str]:
    """Return the lines that occurred before, except those with the same neighbours as before."""
    seen, contexts, alone = set(), set(), []
    for context in zip(["", *lines], lines, [*lines[1:], ""]):
        if context[1] in seen and context not in contexts:
            alone.append(context[1])
        seen.add(context[1])
        contexts.add(context)
    return alone


def _longest_copy(lines: Sequence[str]) -> int:
    """Return the most characters in successive repeated lines: half of the text if it is a page twice."""
    seen: set[str] = set()
    longest = current = 0
    for line in lines:
        current = current + len(line) if line in seen else 0
        seen.add(line)
        longest = max(longest, current)
    return longest


def _characters(lines: Iterable[str]) -> int:
    return sum(map(len, lines))
