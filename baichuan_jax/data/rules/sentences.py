"""Sentences: texts cut where one ends, in Chinese and in English, many texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from baichuan_jax.data.characters import join, points, text_ends
from baichuan_jax.data.dedup.runs import distinct

# What a character may be, as bits: white space; white space that ends no line; a line end; a mark that ends a sentence
# by itself; a full stop, which does so before a space and a capital letter; what may stand between such a mark and the
# next sentence, after the first and after a full stop; and what a sentence may begin with after a full stop.
SPACE, BLANK, LINE_END, MARK, STOP, CLOSING, STOP_CLOSING, OPENING = (1 << bit for bit in range(8))
# Full stops after these, and after a capital letter ("J. F. Kennedy"), end no sentence.
TITLES = ("Mr", "Dr", "St", "No", "vs", "Mrs", "Gen", "Sen", "Rep", "etc")


class Sentences(NamedTuple):
    """Where the sentences of some texts stand.

    characters: of all texts, uint32, a line end after each. texts, starts, ends: int64
    [sentences], in order: the index of its text, and where it begins and ends among the characters. first: int64
    [texts], where each text begins there.
    """

    characters: np.ndarray
    texts: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    first: np.ndarray


def cut(texts: Sequence[str]) -> Sentences:
    """Returns the sentences of texts, each with what follows it up to the next, so that they cover all of it.

    A line ends a sentence, so a heading or an item of a list is one too. So do full stops: Chinese needs no space after
    them; English does, and a capital letter.
    """
    characters = points(join(texts))
    last = text_ends(texts) - 1
    ends = distinct(np.concatenate([last, *_ends(characters, last)]))
    owners = np.searchsorted(last, ends)
    first = np.append(0, last[:-1] + 1)[: len(texts)]
    starts = np.maximum(np.append(0, ends[:-1])[: len(ends)], first[owners])
    full = starts < ends  # a text without characters has no sentence
    return Sentences(characters, owners[full], starts[full], ends[full], first)


def sentences(text: str) -> list[str]:
    """Returns the sentences of a text; joined they are the text."""
    found = cut([text])
    return [text[start:end] for start, end in zip(found.starts.tolist(), found.ends.tolist())]


def _ends(characters: np.ndarray, last: np.ndarray) -> list[np.ndarray]:
    """Returns where sentences end within the texts, whose line ends are at `last`, int64, in three parts."""
    kinds = _kinds().take(characters, mode="clip")
    kinds[last] = 0  # nothing goes beyond a text

    def after(places: np.ndarray, kind: int) -> np.ndarray:
        """Returns the next place from each that is not of a kind."""
        places = places.copy()
        moving = np.flatnonzero(kinds[places] & kind)
        while moving.size:
            places[moving] += 1
            moving = moving[(kinds[places[moving]] & kind) > 0]
        return places

    places = np.flatnonzero(kinds & (LINE_END | MARK | STOP))
    lines, marks, stops = (places[(kinds[places] & kind) > 0] for kind in (LINE_END, MARK, STOP))
    ends = after(after(marks + 1, CLOSING), BLANK)
    ends = ends[(kinds[ends] & (SPACE | MARK)) == 0]
    closed = after(stops + 1, STOP_CLOSING)
    stop_ends = after(closed, BLANK)
    full = np.flatnonzero((stop_ends > closed) & ((kinds[stop_ends] & OPENING) > 0))
    return [after(lines + 1, SPACE), ends, stop_ends[full[~_abbreviates(characters, stops[full])]]]


def _abbreviates(characters: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Returns whether an initial or a title stands before each full stop, bool [stops]."""

    longest = max(map(len, TITLES)) + 1
    before = [np.where(stops >= d, characters.take(stops - d, mode="clip"), ord("\n")) for d in range(1, longest + 1)]
    found = (before[0] >= ord("A")) & (before[0] <= ord("Z"))
    outside = [~_in_words().take(part, mode="clip") for part in before]
    for title in TITLES:
        same = outside[len(title)].copy()
        for part, letter in zip(before, reversed(title)):
            same &= part == ord(letter)
        found |= same
    return found


@cache
def _in_words() -> np.ndarray:
    """Returns which characters words consist of, bool [0x10000]."""
    return np.array([chr(point).isalnum() or chr(point) == "_" for point in range(0x10000)])


@cache
def _kinds() -> np.ndarray:
    """Returns what each character may be, uint8 [0x10000]."""
    kinds = np.zeros(0x10000, np.uint8)
    kinds[0x4E00:0xA000] |= OPENING
    members = {
        SPACE: "\n \t",
        BLANK: " \t",
        LINE_END: "\n",
        MARK: "。！？!?…",
        STOP: ".",
        CLOSING: "”’」』）》\"')",
        STOP_CLOSING: "”’\"')]",
        OPENING: "“‘\"'([ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    }
    for kind, characters in members.items():
        kinds[[ord(character) for character in characters]] |= kind
    return kinds
