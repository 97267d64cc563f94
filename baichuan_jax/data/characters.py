"""Kinds of characters, counted in one pass over many texts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

# Kinds: ideographs; Japanese kana; A-Z a-z; letters of any other sort (accents, Greek, Hangul) and their marks; digits;
# spaces; line ends; marks that end a sentence or a clause; brackets and semicolons, which code is full of; other
# punctuation; symbols (+ $ ★) with everything rarer; signs of wrong decoding: U+FFFD and the private-use characters
# that a wrong table of Chinese turns bytes into.
HAN, KANA, LATIN, LETTER, DIGIT, SPACE, NEWLINE, STOP, BRACKET, PUNCTUATION, SYMBOL, BROKEN = range(12)
KINDS = 12
BATCH = 1 << 18  # characters looked at together: many for each call, few for the processor's cache
TABLE = 0x33480  # characters above the last assigned block of ideographs count as SYMBOL

_BY_CHARACTER = {
    "\t": SPACE,
    "\n": NEWLINE,
    "\ufffd": BROKEN,
    "〇": HAN,
    **dict.fromkeys(".!?:。！？…：；．｡", STOP),
    **dict.fromkeys("()[]{};", BRACKET),
}
# Blocks whose letters are ideographs, and those with kana.
_IDEOGRAPHS = (slice(0x3400, 0xA000), slice(0xF900, 0xFB00), slice(0x20000, TABLE))
_KANA = (*range(0x3040, 0x3200), *range(0x1AFF0, 0x1B170))
_BY_CATEGORY = {"Co": BROKEN, "L": LETTER, "M": LETTER, "N": DIGIT, "Z": SPACE, "P": PUNCTUATION}


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yields the texts in parts, each ended before it has more than BATCH characters if it has several texts."""
    start = size = 0
    for number, text in enumerate(texts):
        if size and size + len(text) > BATCH:
            yield texts[start:number]
            start, size = number, 0
        size += len(text) + 1
    if texts:
        yield texts[start:]


def join(texts: Sequence[str]) -> str:
    """Returns the texts with a line end after each."""
    return "\n".join([*texts, ""])


def points(text: str) -> np.ndarray:
    """Returns the characters of a text, uint32."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def text_ends(texts: Sequence[str]) -> np.ndarray:
    """Returns where each text ends in `join`, beyond its line end, int64 [texts]."""
    return np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)


def kinds(characters: np.ndarray) -> np.ndarray:
    """Returns the kind of each character, uint8."""
    return _table().take(characters, mode="clip")


@cache
def _table() -> np.ndarray:
    characters = np.arange(TABLE, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    names = list(map(unicodedata.category, characters))
    of_name = {name: _BY_CATEGORY.get(name, _BY_CATEGORY.get(name[0], SYMBOL)) for name in set(names)}
    table = np.fromiter(map(of_name.__getitem__, names), np.uint8, TABLE)
    table[[*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)]] = LATIN
    for block in _IDEOGRAPHS:
        table[block][table[block] == LETTER] = HAN
    for point in _KANA:
        if unicodedata.name(chr(point), "").startswith(("HIRAGANA LETTER", "KATAKANA LETTER")):
            table[point] = KANA
    for character, kind in _BY_CHARACTER.items():
        table[ord(character)] = kind
    return table
