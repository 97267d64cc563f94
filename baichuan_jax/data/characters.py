"""Kinds of characters, counted in one pass over a text."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np

# Kinds: ideographs; Japanese kana; A-Z a-z; letters of any other sort (accents, Greek, Hangul) and their marks; digits;
# spaces and line ends; punctuation; symbols (+ $ ★) with everything rarer; signs of wrong decoding: U+FFFD and the
# private-use characters that a wrong table of Chinese turns bytes into.
HAN, KANA, LATIN, LETTER, DIGIT, SPACE, PUNCTUATION, SYMBOL, BROKEN = range(9)
KINDS = 9
TABLE = 0x33480  # characters above the last assigned block of ideographs count as SYMBOL

_BY_CATEGORY = {"Co": BROKEN, "L": LETTER, "M": LETTER, "N": DIGIT, "Z": SPACE, "P": PUNCTUATION}


def count_kinds(text: str) -> list[int]:
    """Returns the number of characters of each kind."""
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return np.bincount(_table()[np.minimum(points, TABLE - 1)], minlength=KINDS).tolist()


@cache
def _table() -> np.ndarray:
    return np.array([_kind(chr(point)) for point in range(TABLE)], np.uint8)


def _kind(character: str) -> int:
    if character.isascii() and character.isalpha():
        return LATIN
    if character in "\n\t":
        return SPACE
    if character == "\ufffd":
        return BROKEN
    name = unicodedata.name(character, "")
    if name.startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH")) or character == "〇":
        return HAN
    if name.startswith(("HIRAGANA LETTER", "KATAKANA LETTER")):
        return KANA
    category = unicodedata.category(character)
    return _BY_CATEGORY.get(category, _BY_CATEGORY.get(category[0], SYMBOL))
