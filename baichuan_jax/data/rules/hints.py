"""Where texts may hold boilerplate, found in tables for many at once: a pattern costs ten times as much for a line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from baichuan_jax.data.rules.boilerplate import BEGINNINGS, CLUE, CLUES, LINE

NEWLINE = ord("\n")
LONGEST = 4  # characters that are looked at
FOLD = np.uint32(0x20)  # set in a-z and not in A-Z; other characters that it makes equal cost a look in vain
BASE = np.uint32(0x9E3779B1)  # odd, so invertible
SHIFT = np.uint32(16)


def hints(text: str, characters: np.ndarray, lines: np.ndarray, rare: np.ndarray) -> np.ndarray:
    """Returns the places in a text, or in joined ones, where LINE or CLUE matches, int64, in order.

    characters: of the text, uint32. lines, rare: int64, where lines begin, and the places of RARE.
    """
    found = [
        place
        for pattern, beginnings, places in ((LINE, BEGINNINGS, lines), (CLUE, CLUES, rare))
        for place in _matching(characters, places, _table(tuple(beginnings))).tolist()
        if pattern.match(text, place)
    ]
    return np.array(sorted(found), np.int64)


def _matching(characters: np.ndarray, places: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Returns the places where one of the strings of a table may stand: none is missed, few are found in vain."""
    found = np.zeros(len(places), bool)
    within = np.ones(len(places), bool)  # no string goes beyond a line
    slots = np.zeros(len(places), np.uint32)
    for offset in range(LONGEST):
        here = characters.take(places + offset, mode="clip")
        within &= here != NEWLINE
        slots += here | FOLD
        slots *= BASE
        found |= within & table.take(slots >> SHIFT)
    return places[found]


@cache
def _table(strings: Sequence[str]) -> np.ndarray:
    """Returns the slots of strings of 1 to LONGEST characters, bool [2^16]."""
    table = np.zeros(1 << 16, bool)
    for string in strings:
        slot = 0
        for character in string:
            slot = (slot + (ord(character) | int(FOLD))) * int(BASE) & 0xFFFF_FFFF
        table[slot >> int(SHIFT)] = True
    return table
