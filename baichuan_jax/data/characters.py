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
BATCH = 1 << 18  # characters processed at once: many for each numpy call, few for the processor's cache
TABLE = 0x33480  # characters above the last assigned block of ideographs count as SYMBOL

# Marks that end a sentence or a clause in other scripts: Greek, Armenian, Hebrew, Arabic, Syriac, N'Ko, Devanagari,
# Sinhala, Thai, Tibetan, Burmese, Georgian, Ethiopic, Canadian, Philippine, Khmer, Mongolian, Limbu, Tai, Balinese,
# Lepcha, Ol Chiki, Coptic, Lisu, Vai, Bamum, Phags-pa, Saurashtra, Javanese, Cham, Meetei.
STOPS = (
    "\u0387\u0589\u055c\u055e\u05c3\u060c\u061b\u061d\u061e\u061f\u06d4\u0700\u0701\u0702\u0703\u0704\u07f8\u07f9\u0964\u0965"
    "\u0df4\u0e2f\u0e5a\u0e5b\u0f0d\u0f0e\u0f0f\u0f10\u0f11\u0f12\u104a\u104b\u10fb\u1361\u1362\u1363\u1364\u1365\u1366\u1367\u1368"
    "\u166e\u1735\u1736\u17d4\u17d5\u17d6\u17da\u1802\u1803\u1804\u1805\u1808\u1809\u1944\u1945\u1aa8\u1aa9\u1aaa\u1aab\u1b5a\u1b5b\u1b5e\u1b5f"
    "\u1c3b\u1c3c\u1c7e\u1c7f\u2cf9\u2cfa\u2cfb\u2cfe\ua4fe\ua4ff\ua60e\ua60f\ua6f3\ua6f4\ua6f7\ua876\ua877\ua8ce\ua8cf\ua9c8\ua9c9\uaa5d\uaa5e\uaa5f\uabeb"
)
JOINERS = "\u034f\u180b\u180c\u180d\u180e\u180f\u200c\u200d"  # parts of words and of emoji
_BY_CHARACTER = {
    "\t": SPACE,
    "\n": NEWLINE,
    "\ufffd": BROKEN,
    "〇": HAN,
    **dict.fromkeys(".!?:。！？…：；．｡", STOP),
    **dict.fromkeys(STOPS, STOP),
    **dict.fromkeys(JOINERS, LETTER),
    "\u200b": SPACE,
    **dict.fromkeys("()[]{};", BRACKET),
}
# Blocks whose letters are ideographs, and those with kana.
_IDEOGRAPHS = (slice(0x3400, 0xA000), slice(0xF900, 0xFB00), slice(0x20000, TABLE))
_KANA = (*range(0x3040, 0x3200), *range(0x1AFF0, 0x1B170))
_BY_CATEGORY = {"Co": BROKEN, "L": LETTER, "M": LETTER, "N": DIGIT, "Z": SPACE, "P": PUNCTUATION}


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in parts of at most BATCH characters; a longer text is a part of its own."""
    start = size = 0
    for number, text in enumerate(texts):
        if size and size + len(text) > BATCH:
            yield texts[start:number]
            start, size = number, 0
        size += len(text) + 1
    if texts:
        yield texts[start:]


def join(texts: Sequence[str]) -> str:
    """Return the concatenation of the texts, with a line end after each."""
    return "\n".join([*texts, ""])


def points(text: str) -> np.ndarray:
    """Return the code points of a text, uint32."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def text_ends(texts: Sequence[str]) -> np.ndarray:
    """Return the end of each text in `join`, after its line end, int64 [texts]."""
    return np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)


def kinds(characters: np.ndarray) -> np.ndarray:
    """Return the kind of each character, uint8."""
    return _table().take(characters, mode="clip")


def count_kinds(text: str) -> np.ndarray:
    """Return the number of characters of each kind in a text, int64 [KINDS]."""
    return np.bincount(kinds(points(text)), minlength=KINDS)


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
