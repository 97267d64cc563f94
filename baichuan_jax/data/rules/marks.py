"""Roles of characters in sentences and lines, and vectorised steps over runs of them."""

from __future__ import annotations

from functools import cache

import numpy as np

# Bits of `kinds`: white space; white space other than line ends; a line end; a mark that ends a sentence by itself; a
# full stop, which ends one before a space and a capital letter; what may be between such a mark and the next sentence,
# after the first kind of mark and after a full stop; two columns wide.
SPACE, BLANK, LINE_END, MARK, STOP, CLOSING, STOP_CLOSING, WIDE = (1 << bit for bit in range(8))
# Further bits of `traits`: what may begin a sentence after a full stop; what can only continue one, such as a small
# letter or a comma; letters and digits; small letters; what certainly ends a sentence; what ends a line only if the
# sentence continues; what announces the lines below; quotation marks; what ends a clause.
OPENING, INNER, LETTER, LOWER, FULL, OPEN, LEAD, QUOTE, CLAUSE = (1 << bit for bit in range(8, 17))
STEPS = 24  # steps of one character: most runs of spaces, marks and letters are shorter

_MEMBERS = {
    SPACE: "\n \t",
    BLANK: " \t",
    LINE_END: "\n",
    MARK: "。！？!?…",
    STOP: ".",
    CLOSING: "”’」』）》\"')",
    STOP_CLOSING: "”’\"')]",
    OPENING: "“‘\"'([ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    INNER: "”’」』）》】〉〕)]},;:，、；：。．.!?！？…%％·",
    FULL: "。！？!?.",
    OPEN: ",，、(（[“‘「『《〈/&",
    LEAD: ":：",
    QUOTE: '“”"「」『』',
    CLAUSE: "，。；？！、：,.;?!:",
}
_WIDE = ((0x2E80, 0xA4D0), (0xAC00, 0xD7A4), (0xF900, 0xFB00), (0xFE30, 0xFE50), (0xFF00, 0xFF61))


@cache
def among(characters: str) -> np.ndarray:
    """Return a table of characters, bool [0x10000]."""
    return np.isin(np.arange(0x10000), [ord(character) for character in characters])


@cache
def traits() -> np.ndarray:
    """Return all bits of each character, uint32 [0x10000]; characters beyond have those of the last."""
    table = np.zeros(0x10000, np.uint32)
    for kind, characters in _MEMBERS.items():
        table[[ord(character) for character in characters]] |= kind
    table[0x4E00:0xA000] |= OPENING
    for first, end in _WIDE:
        table[first:end] |= WIDE
    table[[*map(ord, "“”‘’…—·"), 0xFFFF]] |= WIDE  # in Chinese text, which is where it matters
    for point in range(0xD800):
        character = chr(point)
        table[point] |= (LETTER if character.isalnum() else 0) | (LOWER | INNER if character.islower() else 0)
    return table


@cache
def kinds() -> np.ndarray:
    """Return the bits of each character that are looked up for all characters, uint8 [0x10000]."""
    return (traits() & 0xFF).astype(np.uint8)


def after(found: np.ndarray, places: np.ndarray, kind: int) -> np.ndarray:
    """Return the first place from each on whose character is not of a kind, int64 [places]. There must be one.

    found: uint8 [characters], of `kinds`.
    """
    places, moving = _begin(places, (found[places] & kind) > 0)
    for _ in range(STEPS):
        if not moving.size:
            break
        places[moving] += 1
        moving = moving[(found[places[moving]] & kind) > 0]
    if moving.size:
        others = np.flatnonzero((found & kind) == 0)
        places[moving] = others[np.searchsorted(others, places[moving])]
    return places


def until(found: np.ndarray, places: np.ndarray, kind: int) -> np.ndarray:
    """Return the first place from each on whose character is of a kind, int64 [places]. There must be one."""
    others = np.flatnonzero((found & kind) != 0)
    return others[np.searchsorted(others, places)]


def before(found: np.ndarray, places: np.ndarray, kind: int) -> np.ndarray:
    """Return the end of the last character before each place that is not of a kind, int64 [places]; else 0."""
    places, moving = _begin(places, (places > 0) & ((found[places - 1] & kind) > 0))
    for _ in range(STEPS):
        if not moving.size:
            break
        places[moving] -= 1
        moving = moving[(places[moving] > 0) & ((found[places[moving] - 1] & kind) > 0)]
    if moving.size:
        others = np.append(-1, np.flatnonzero((found & kind) == 0))
        places[moving] = others[np.searchsorted(others, places[moving]) - 1] + 1
    return places


def _begin(places: np.ndarray, moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (a copy of the places, indices of those that move)."""
    return places.copy(), np.flatnonzero(moves)
