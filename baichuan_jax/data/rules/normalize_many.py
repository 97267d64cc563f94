"""Normalisation of many texts at once: what most texts need, in a few passes over all their characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np

from baichuan_jax.data.characters import join, points, text_ends
from baichuan_jax.data.rules.normalize import NUMBER_MARKS, TABLE, normalize, without_leftovers

# Sorts of characters: what becomes another, or goes; marks of numbers; "\r"; and what sends a text to
# `normalize`, as it becomes several characters or may be composed with others.
CHANGES, MARK, RETURN, RARE = range(1, 5)
BEYOND = 0x2F800  # from here on all are rare
DROPPED = 0xFFFF_FFFF  # instead of a character
NEWLINE = ord("\n")
WIDE = 0xFEE0  # between a full-width form and its half-width one


def normalize_many(texts: Sequence[str]) -> list[str]:
    """Returns the normal form of each text, as `normalize` does; `characters.batches` are as many as is good."""
    characters = points(join(texts))
    sorts, replacements = _tables()
    found = sorts.take(characters, mode="clip")
    places = np.flatnonzero(found != 0)  # of bool it is several times as fast
    found = found[places]
    ends = text_ends(texts)
    characters = characters.copy()
    changed = places[found == CHANGES]
    characters[changed] = replacements[characters[changed]]
    _unite_line_ends(characters, places[found == RETURN])
    rare, marks = np.searchsorted(ends, places[found == RARE], side="right"), places[found == MARK]
    keep = _kept(characters, ends - 1)
    gone = np.flatnonzero(~keep)
    characters = characters[keep]
    ends -= np.searchsorted(gone, ends)
    _narrow_number_marks(characters, marks - np.searchsorted(gone, marks))
    joined = characters.tobytes().decode("utf-32-le")
    normal = [joined[start:end].strip("\n") for start, end in zip([0, *ends.tolist()], ends.tolist())]
    for number in set(rare.tolist()):
        normal[number] = normalize(texts[number])
    return list(map(without_leftovers, normal))


def _unite_line_ends(characters: np.ndarray, returns: np.ndarray) -> None:
    after = returns + 1  # the next character that stays; a text ends with a line end
    while (moving := np.flatnonzero(characters[after] == DROPPED)).size:
        after[moving] += 1
    characters[returns] = np.where(characters[after] == NEWLINE, DROPPED, NEWLINE)


def _kept(characters: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Returns which characters stay, bool: not those dropped, spaces before a line end, and the fourth line end on.

    last: int64 [texts], the line end after each text.
    """
    keep = characters != DROPPED
    ends = np.flatnonzero(characters == NEWLINE)
    before = ends - 1  # what stays before each line end; before the first of all stands the last, which is one too
    moving = np.arange(len(ends))
    while (moving := moving[_is_blank(characters[before[moving]])]).size:
        keep[before[moving]] = False
        before[moving] -= 1
    follows = np.append(False, before[1:] == ends[:-1])  # the line end before it
    keep[ends[3:][follows[3:] & follows[2:-1] & follows[1:-2]]] = False
    keep[last] = True
    return keep


def _is_blank(characters: np.ndarray) -> np.ndarray:
    return (characters == ord(" ")) | (characters == ord("\t")) | (characters == DROPPED)


def _narrow_number_marks(characters: np.ndarray, marks: np.ndarray) -> None:
    before, after = characters[marks - 1], characters[marks + 1]  # a text ends with a line end
    in_number = (before >= ord("0")) & (before <= ord("9")) & (after >= ord("0")) & (after <= ord("9"))
    characters[marks[in_number]] -= WIDE


@cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Returns the sort of each character, uint8, and what those that change become, uint32, both [BEYOND + 1]."""
    sorts, replacements = np.zeros(BEYOND + 1, np.uint8), np.zeros(BEYOND + 1, np.uint32)
    for point in range(0x300, 0x10000):  # NFC leaves those below alone
        character = chr(point)
        if unicodedata.combining(character) or not unicodedata.is_normalized("NFC", character):
            sorts[point] = RARE
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and parts[0][0] != "<":
            sorts[int(parts[1], 16)] = RARE
    sorts[0x1160:0x1200] = RARE  # vowels and final consonants of Hangul
    sorts[0x10000:0x1F000] = sorts[BEYOND] = RARE  # beyond the first plane only emoji and ideographs are looked for
    for point, new in TABLE.items():
        simple = len(new) < 2 and not (new and sorts[ord(new)])
        sorts[point], replacements[point] = CHANGES if simple else RARE, ord(new) if new and simple else DROPPED
    sorts[[ord(mark) for mark in NUMBER_MARKS]], sorts[ord("\r")] = MARK, RETURN
    return sorts, replacements
