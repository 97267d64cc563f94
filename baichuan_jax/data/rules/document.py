"""Heuristic rules: the first step of cleaning. A rule looks at one document and says whether it breaks it.

The thresholds are per language, in `limits.py`: English ones applied to Chinese keep nothing.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from baichuan_jax.data.characters import BROKEN, DIGIT, HAN, KANA, LATIN, LETTER, SPACE, SYMBOL, count_kinds
from baichuan_jax.data.language import Language, identify
from baichuan_jax.data.rules.limits import LIMITS, Limits

MOJIBAKE = re.compile("锟斤拷|烫烫烫|Ã[\u0080-\u00bf]|â€")
BULLETS = ("-", "*", "•", "●", "·", "◆", "■", "▲")
ELLIPSES = ("...", "…", "。。。")
FEW_LINES = 5
COMPRESSED_SAMPLE = 1 << 16  # bytes that are compressed to see how repetitive a text is


@dataclass(frozen=True)
class Facts:
    """A normalised text and what the rules share. kinds: characters of each kind."""

    text: str
    kinds: list[int]

    @cached_property
    def language(self) -> Language:
        return identify(self.text, self.kinds)

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank, without the spaces around them."""
        return [stripped for line in self.text.split("\n") if (stripped := line.strip())]

    @property
    def letters(self) -> int:
        return sum(self.kinds[kind] for kind in (HAN, KANA, LATIN, LETTER))

    @property
    def visible(self) -> int:
        """Characters that are not white space."""
        return max(1, sum(self.kinds) - self.kinds[SPACE])


def facts(text: str) -> Facts:
    """Returns the facts of a normalised text."""
    return Facts(text, count_kinds(text))


def broken_rule(facts: Facts) -> str | None:
    """Returns the name of the first rule that a document breaks, or None if it keeps them all."""
    limits = LIMITS[facts.language]
    return next((name for name, breaks in RULES.items() if breaks(facts, limits)), None)


def _too_short(facts: Facts, limits: Limits) -> bool:
    return facts.letters < limits.min_letters


def _too_long(facts: Facts, limits: Limits) -> bool:
    return len(facts.text) > limits.max_characters


def _broken_text(facts: Facts, limits: Limits) -> bool:
    """Bytes that were not UTF-8, or were decoded with the wrong table at some time in the past."""
    broken = facts.kinds[BROKEN] + len(MOJIBAKE.findall(facts.text))
    return broken > limits.max_broken_share * facts.visible


def _few_letters(facts: Facts, limits: Limits) -> bool:
    return facts.letters < limits.min_letter_share * facts.visible


def _many_digits(facts: Facts, limits: Limits) -> bool:
    return facts.kinds[DIGIT] > limits.max_digit_share * facts.visible


def _many_symbols(facts: Facts, limits: Limits) -> bool:
    return facts.kinds[SYMBOL] > limits.max_symbol_share * facts.visible


def _word_length(facts: Facts, limits: Limits) -> bool:
    words = facts.text.split()
    return not limits.min_word <= facts.visible / max(1, len(words)) <= limits.max_word


def _long_lines(facts: Facts, limits: Limits) -> bool:
    return max(map(len, facts.lines)) > limits.max_line


def _bullets(facts: Facts, limits: Limits) -> bool:
    return _share_of_lines([line.startswith(BULLETS) for line in facts.lines]) > limits.max_bullet_share


def _ellipses(facts: Facts, limits: Limits) -> bool:
    return _share_of_lines([line.endswith(ELLIPSES) for line in facts.lines]) > limits.max_ellipsis_share


def _share_of_lines(hits: list[bool]) -> float:
    """Returns the share of lines that hit; 0 of a text with few lines: one line says nothing about a list."""
    return sum(hits) / len(hits) if len(hits) >= FEW_LINES else 0.0


def _repeated_lines(facts: Facts, limits: Limits) -> bool:
    """Characters in lines that stand there already, as a share of all."""
    repeated = sum(map(len, facts.lines)) - sum(map(len, set(facts.lines)))
    return repeated > limits.max_repeated_share * facts.visible


def _repetitive(facts: Facts, limits: Limits) -> bool:
    """Repeated phrases: such text compresses far below what any prose does."""
    sample = facts.text.encode()[:COMPRESSED_SAMPLE]
    return len(zlib.compress(sample, 1)) < limits.min_compressed_share * len(sample)


RULES: dict[str, Callable[[Facts, Limits], bool]] = {
    "too_short": _too_short,
    "too_long": _too_long,
    "broken_text": _broken_text,
    "few_letters": _few_letters,
    "many_digits": _many_digits,
    "many_symbols": _many_symbols,
    "word_length": _word_length,
    "long_lines": _long_lines,
    "bullets": _bullets,
    "ellipses": _ellipses,
    "repeated_lines": _repeated_lines,
    "repetitive": _repetitive,
}
