"""Places of possible boilerplate, by table lookups for many texts at once; a pattern takes ten times as long."""

from __future__ import annotations

from functools import cache

import numpy as np

from baichuan_jax.data.rules.boilerplate import BEGINNINGS, CLUE, CLUES, LINE

LONGEST = max(map(len, [*BEGINNINGS, *CLUES]))  # characters examined at a place
SIEVES = (1, 3)  # the steps after which impossible places are dropped
GOES_ON, ENDS_LINE, ENDS_CLUE = 1, 2, 4  # bits of a slot: a string continues, or ends, there
FOLD = np.uint32(0x20)  # set in a-z and not in A-Z; other characters that it makes equal cost a needless examination
BASE = np.uint32(0x9E3779B1)  # odd, so invertible
SHIFT = np.uint32(16)


def hints(text: str, characters: np.ndarray, lines: np.ndarray, rare: np.ndarray) -> np.ndarray:
    """Return the places in a text, or in concatenated texts, where LINE or CLUE matches, int64, in order.

    characters: of the text, uint32. lines: int64, beginnings of lines. rare: int64, places of the characters RARE.
    """
    of_lines, of_clues = _matching(characters, lines, rare)
    found = [place for place in of_lines.tolist() if LINE.match(text, place)]
    found += [place for place in of_clues.tolist() if CLUE.match(text, place)]
    return np.array(sorted(found), np.int64)


def _matching(characters: np.ndarray, lines: np.ndarray, rare: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places at which one of BEGINNINGS or CLUES may be: no false negatives, few false positives."""
    places = np.concatenate([lines, rare])
    roles = np.repeat(np.array([ENDS_LINE, ENDS_CLUE], np.uint8), [len(lines), len(rare)])  # the end that is required
    slots, found = np.zeros(len(places), np.uint32), np.zeros(len(places), np.uint8)
    on = np.full(len(places), GOES_ON, np.uint8)
    for offset in range(LONGEST):
        slots += characters.take(places + offset, mode="clip") | FOLD
        slots *= BASE
        if not offset:
            continue  # no string is that short
        does = _table().take(slots >> SHIFT)
        found |= does & roles * on
        on &= does
        if offset in SIEVES:
            keep = np.flatnonzero(found + on > 0)
            places, roles, slots, found, on = (part[keep] for part in (places, roles, slots, found, on))
    return places[found == ENDS_LINE], places[found == ENDS_CLUE]


@cache
def _table() -> np.ndarray:
    """Return the bits of each slot, uint8 [2^16]."""
    table = np.zeros(1 << 16, np.uint8)
    for strings, roles in ((BEGINNINGS, ENDS_LINE), (CLUES, ENDS_CLUE)):
        for string in strings:
            slot = 0
            for character in string:
                slot = (slot + (ord(character) | int(FOLD))) * int(BASE) & 0xFFFF_FFFF
                table[slot >> int(SHIFT)] |= GOES_ON
            table[slot >> int(SHIFT)] |= roles
    return table
