"""Where texts may hold boilerplate, found in tables for many at once: a pattern costs ten times as much for a line."""

from __future__ import annotations

from functools import cache

import numpy as np

from baichuan_jax.data.rules.boilerplate import BEGINNINGS, CLUE, CLUES, LINE

LONGEST = max(map(len, [*BEGINNINGS, *CLUES]))  # characters that are looked at
SIEVES = (1, 3)  # after which of them those places go of which nothing may come
GOES_ON, ENDS_LINE, ENDS_CLUE = 1, 2, 4  # what a string does at a slot
FOLD = np.uint32(0x20)  # set in a-z and not in A-Z; other characters that it makes equal cost a look in vain
BASE = np.uint32(0x9E3779B1)  # odd, so invertible
SHIFT = np.uint32(16)


def hints(text: str, characters: np.ndarray, lines: np.ndarray, rare: np.ndarray) -> np.ndarray:
    """Return the places in a text, or in joined ones, where LINE or CLUE matches, int64, in order.

    characters: of the text, uint32. lines, rare: int64, where lines begin, and the places of RARE.
    """
    of_lines, of_clues = _matching(characters, lines, rare)
    found = [place for place in of_lines.tolist() if LINE.match(text, place)]
    found += [place for place in of_clues.tolist() if CLUE.match(text, place)]
    return np.array(sorted(found), np.int64)


def _matching(characters: np.ndarray, lines: np.ndarray, rare: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return those of the places at which BEGINNINGS or CLUES may stand: none is missed, few are found in vain."""
    places = np.concatenate([lines, rare])
    roles = np.repeat(np.array([ENDS_LINE, ENDS_CLUE], np.uint8), [len(lines), len(rare)])  # what is looked for
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
    """Return what the strings do at each slot, bits, uint8 [2^16]."""
    table = np.zeros(1 << 16, np.uint8)
    for strings, roles in ((BEGINNINGS, ENDS_LINE), (CLUES, ENDS_CLUE)):
        for string in strings:
            slot = 0
            for character in string:
                slot = (slot + (ord(character) | int(FOLD))) * int(BASE) & 0xFFFF_FFFF
                table[slot >> int(SHIFT)] |= GOES_ON
            table[slot >> int(SHIFT)] |= roles
    return table
