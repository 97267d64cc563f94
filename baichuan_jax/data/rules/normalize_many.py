"""Normalisation of many texts at once: the common cases in a few vectorised passes over all characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np

from baichuan_jax.data.characters import join, points, text_ends
from baichuan_jax.data.rules.controls import count_repaired
from baichuan_jax.data.rules.list_marks import narrow, without_permalinks
from baichuan_jax.data.rules.normalize import CONTEXTUAL, NUMBER_MARKS, SCRIPTS, TABLE, normalize, without_leftovers

# Sorts of characters: replaced or dropped; marks of numbers; "\r"; those that send a text to `normalize`, because they
# become several characters, may be composed with others or depend on their context; those that do so in some scripts
# only; those of `controls.ODD`; and links at the ends of headings.
CHANGES, MARK, RETURN, RARE, SCRIPTED, IS_ODD, LINK = range(1, 8)
BEYOND = 0x2F800  # from here on all are rare
DROPPED = 0xFFFF_FFFF  # instead of a character
NEWLINE = ord("\n")
STEPS = 24  # steps of one character: most runs of blanks and of dropped characters are shorter
HASH = ord("#")  # a link at the end of a heading, unless one of these precedes it
NO_HEADING = [ord(mark) for mark in "\n\t #*-=/!"]


def normalize_many(texts: Sequence[str], repaired: dict[int, int] | None = None) -> list[str]:
    """Return the normal form of each text, as `normalize` does; to be called with one of `characters.batches`.

    repaired: filled in with {index of a text: number of its control characters that `controls.repair` replaced}.
    """
    characters = points(join(texts))
    sorts, replacements = _tables()
    found = sorts.take(characters, mode="clip")
    places = np.flatnonzero(found != 0)  # flatnonzero is several times as fast on bool
    found = found[places]
    stops = text_ends(texts)
    odd = _owners(stops, _that_matter(characters, sorts, places[found == IS_ODD]))
    characters = characters.copy()
    changed = places[(found == CHANGES) | (found == SCRIPTED)]
    characters[changed] = replacements[characters[changed]]
    _merge_line_ends(characters, places[found == RETURN])
    rare = odd | _owners(stops, places[found == RARE])
    rare |= {number for number in _owners(stops, places[found == SCRIPTED]) if SCRIPTS.search(texts[number])}
    keep, linked = _kept(characters, stops - 1)
    linked = _owners(stops, linked) | _owners(stops, places[found == LINK])
    gone = np.flatnonzero(~keep)
    characters = characters[keep]
    stops -= np.searchsorted(gone, stops)
    marks = places[found == MARK]
    marked = _owners(stops, _between_digits(characters, marks - np.searchsorted(gone, marks)))
    joined = characters.tobytes().decode("utf-32-le")
    normal = [joined[start:end].strip("\n") for start, end in zip([0, *stops.tolist()], stops.tolist())]
    for number in linked - rare:
        normal[number] = without_permalinks(normal[number])
    for number in marked - rare:
        normal[number] = narrow(normal[number])
    for number in rare:
        normal[number] = normalize(texts[number], number in odd)
        if repaired is not None and number in odd and (count := count_repaired(texts[number])):
            repaired[number] = count
    return list(map(without_leftovers, normal))


def _that_matter(characters: np.ndarray, sorts: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Return the places of characters of ODD, except private-use characters and U+FFFD after letters.

    characters: as given, before any change.
    """
    found, before = characters[odd], characters[odd - 1]
    inside = (before > ord(" ")) & np.isin(sorts.take(before, mode="clip"), (0, IS_ODD))
    return odd[~inside | (found < 0xE000) | (found >= 0xF000) & (found < 0xF900) | (found == 0xE5E5)]


def _owners(stops: np.ndarray, places: np.ndarray) -> set[int]:
    """Return the indices of the texts that contain places."""
    return set(np.searchsorted(stops, places, side="right").tolist())


def _merge_line_ends(characters: np.ndarray, returns: np.ndarray) -> None:
    after = returns + 1  # the next character that stays; a text ends with a line end
    moving = np.arange(len(after))
    for _ in range(STEPS):
        if not (moving := moving[characters[after[moving]] == DROPPED]).size:
            break
        after[moving] += 1
    if moving.size:
        others = np.flatnonzero(characters != DROPPED)
        after[moving] = others[np.searchsorted(others, after[moving])]
    characters[returns] = np.where(characters[after] == NEWLINE, DROPPED, NEWLINE)


def _kept(characters: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (which characters stay, bool; the places of "#" at the ends of possible headings, int64).

    Removed are dropped characters, spaces before a line end, and line ends from the fourth in a row on. last: int64
    [texts], the line end after each text.
    """
    keep = characters != DROPPED
    newlines = np.flatnonzero(characters == NEWLINE)
    before = newlines - 1  # what stays before each line end; before the first of all stands the last, which is one too
    moving = np.arange(len(newlines))
    for _ in range(STEPS):
        if not (moving := moving[_is_blank(characters[before[moving]])]).size:
            break
        keep[before[moving]] = False
        before[moving] -= 1
    if moving.size:
        others = np.append(-1, np.flatnonzero(~_is_blank(characters)))
        starts = others[np.searchsorted(others, before[moving], side="right") - 1]
        for start, end in zip(starts.tolist(), before[moving].tolist()):
            keep[start + 1 : end + 1] = False
        before[moving] = starts
    follows = np.append(False, before[1:] == newlines[:-1])  # the line end before it
    keep[newlines[3:][follows[3:] & follows[2:-1] & follows[1:-2]]] = False
    keep[last] = True
    hashes = before[characters[before] == HASH]
    return keep, hashes[~np.isin(characters[hashes - 1], NO_HEADING)]


def _is_blank(characters: np.ndarray) -> np.ndarray:
    return (characters == ord(" ")) | (characters == ord("\t")) | (characters == DROPPED)


def _between_digits(characters: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the places with a digit before and after; a text ends with a line end."""
    before, after = characters[places - 1], characters[places + 1]
    return places[(before >= ord("0")) & (before <= ord("9")) & (after >= ord("0")) & (after <= ord("9"))]


@cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Return (the sort of each character, uint8; its replacement, uint32), both [BEYOND + 1]."""
    sorts, replacements = np.zeros(BEYOND + 1, np.uint8), np.zeros(BEYOND + 1, np.uint32)
    for point in range(0x300, 0x10000):  # NFC does not change those below
        character = chr(point)
        if unicodedata.combining(character) or not unicodedata.is_normalized("NFC", character):
            sorts[point] = RARE
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and parts[0][0] != "<":
            sorts[int(parts[1], 16)] = RARE
    sorts[0x1160:0x1200] = RARE  # vowels and final consonants of Hangul
    sorts[0x10000:0x1F000] = sorts[BEYOND] = RARE  # beyond the first plane only emoji and ideographs are handled
    for point, new in TABLE.items():
        simple = len(new) < 2 and not (new and sorts[ord(new)])
        sorts[point], replacements[point] = CHANGES if simple else RARE, ord(new) if new and simple else DROPPED
    sorts[0x80:0xA0] = sorts[0xE000:0xF900] = sorts[0xFFFD] = IS_ODD  # controls, private use, signs of damage
    sorts[[ord(mark) for mark in NUMBER_MARKS]], sorts[ord("\r")] = MARK, RETURN
    sorts[[ord(character) for character in CONTEXTUAL]] = SCRIPTED
    sorts[[ord("¶"), ord("🔗")]] = LINK
    return sorts, replacements
