"""Facts about texts that the rules share, counted for many texts at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from baichuan_jax.data.characters import (
    HAN,
    KANA,
    KINDS,
    LATIN,
    LETTER,
    NEWLINE,
    SPACE,
    STOP,
    TABLE,
    batches,
    kinds,
    points,
    text_ends,
)
from baichuan_jax.data.language import Language, identify
from baichuan_jax.data.rules.boilerplate import RARE
from baichuan_jax.data.rules.hints import beginnings, clues

IS_RARE = 16  # more than any kind
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so invertible
SHORT = 20  # characters in a loose line, at most
BULLETS, CLOSING = "-*•●·◆■▲", "”’」』）》〉】\"')]*"
# Columns of `Facts.layout`: words; then lines that are not blank: all, those that begin with a bullet, those that end
# with an ellipsis, the loose ones, which are short and end with no mark; characters in the longest line; and characters
# in lines that may stand in the text already.
WORDS, LINES, BULLET_LINES, ELLIPSIS_LINES, LOOSE_LINES, LONGEST_LINE, REPEATED = range(7)


class Facts(NamedTuple):
    """A normalised text and what the rules share.

    letters, visible: characters that are letters; that are no white space, 1 at least.
    kinds: characters of each kind (`characters`). layout: words and lines, see above. beginnings, clues: the places in
    the text that `prune` looks at (`hints`).
    """

    text: str
    language: Language
    letters: int
    visible: int
    kinds: list[int]
    layout: list[int]
    beginnings: list[int]
    clues: list[int]


def facts(text: str) -> Facts:
    """Returns the facts of a normalised text."""
    return facts_batch([text])[0]


def facts_batch(texts: Sequence[str]) -> list[Facts]:
    """Returns the facts of normalised texts; a few hundred short texts at once are several times faster than one."""
    return [facts for batch in batches(texts) for facts in _facts(batch)]


def _facts(texts: Sequence[str]) -> Iterator[Facts]:
    characters = points(texts)
    codes = _codes().take(characters, mode="clip")
    of_kind, rare = codes & (IS_RARE - 1), np.flatnonzero(codes >= IS_RARE)
    ends = text_ends(texts)
    lengths = np.diff(ends, prepend=0)
    starts = ends - lengths
    counts = _count_kinds(of_kind, lengths)
    letters = counts[:, [HAN, KANA, LATIN, LETTER]].sum(axis=1).tolist()
    visible = np.maximum(lengths - 1 - counts[:, SPACE] - counts[:, NEWLINE], 1).tolist()
    lines = _lines(of_kind)
    layout = _layout(characters, of_kind, lines, np.searchsorted(lines.ends, starts)).tolist()
    hints = (
        _shared_out(found(characters, places), starts) for found, places in ((beginnings, lines.starts), (clues, rare))
    )
    for text, letter, seen, count, *rest in zip(texts, letters, visible, counts.tolist(), layout, *hints):
        yield Facts(text, identify(text, count), letter, seen, count, *rest)


def _shared_out(places: np.ndarray, starts: np.ndarray) -> list[list[int]]:
    """Returns the places in each text, of places among the characters of all."""
    shared: list[list[int]] = [[] for _ in starts]
    owners = np.searchsorted(starts, places, side="right") - 1
    for owner, place in zip(owners.tolist(), (places - starts[owners]).tolist()):
        shared[owner].append(place)
    return shared


def _count_kinds(of_kind: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the characters of each kind in each text, int64 [texts, KINDS]; the line ends between texts are none."""
    texts = len(lengths)
    if texts == 1:
        counts = np.bincount(of_kind, minlength=KINDS)[None]
    else:
        places = np.repeat(np.arange(0, texts * KINDS, KINDS), lengths) + of_kind
        counts = np.bincount(places, minlength=texts * KINDS).reshape(texts, KINDS)
    counts[:, NEWLINE] -= 1
    return counts


class _Lines(NamedTuple):
    """Lines of all texts. ends, starts: int64 [lines], where each ends, and begins after its spaces (a blank one at its
    end). words: int64 [lines + 1], how many begin before each line, and in all."""

    ends: np.ndarray
    starts: np.ndarray
    words: np.ndarray


def _lines(of_kind: np.ndarray) -> _Lines:
    ends = of_kind == NEWLINE
    visible = ~(ends | (of_kind == SPACE))
    visible[1:] &= ~visible[:-1]
    marks = np.flatnonzero(ends | visible)  # the ends of lines, and the beginnings of words
    of_ends = np.flatnonzero(ends[marks])
    firsts = np.append(0, of_ends + 1)
    return _Lines(marks[of_ends], marks[firsts[:-1]], firsts - np.arange(len(firsts)))


def _layout(characters: np.ndarray, of_kind: np.ndarray, lines: _Lines, firsts: np.ndarray) -> np.ndarray:
    """Returns the columns of `Facts.layout`, int64 [texts, columns]. firsts: int64 [texts], the first line of each."""
    lasts = lines.ends - 1
    final = characters[lasts]
    spelt = (characters.take(lasts - 1, mode="wrap") == final) & (characters.take(lasts - 2, mode="wrap") == final)
    ellipsis = (final == ord("…")) | spelt & ((final == ord(".")) | (final == ord("。")))
    for _ in range(2):
        lasts -= _among(CLOSING).take(characters[lasts], mode="clip")
    sizes = lines.ends - lines.starts
    full = sizes > 0
    loose = (sizes <= SHORT) & (of_kind[lasts] != STOP)
    flags = [full, _among(BULLETS).take(characters[lines.starts], mode="clip"), ellipsis, loose]
    columns = [np.add.reduceat(flag & full, firsts, dtype=np.int64) for flag in flags]
    words = np.diff(lines.words[np.append(firsts, -1)])
    return np.stack([words, *columns, np.maximum.reduceat(sizes, firsts), _repeated(characters, lines, firsts)], axis=1)


def _repeated(characters: np.ndarray, lines: _Lines, firsts: np.ndarray) -> np.ndarray:
    """Returns the characters of each text in lines that may stand there already, int64 [texts].

    Never too few, and seldom too many: taken for equal are lines of one length that agree in four characters.
    """
    sizes = lines.ends - lines.starts
    owners = np.repeat(np.arange(len(firsts)), np.diff(firsts, append=len(sizes)))
    keys = (owners << 32 | sizes).astype(np.uint64)
    for quarter in range(4):
        keys = keys * BASE + characters[lines.starts + (sizes * quarter >> 2)]
    # The line in the low bits: so one sort, which need not be stable, brings equal keys together and says where.
    low = np.uint64((1 << len(keys).bit_length()) - 1)
    keys = np.sort(keys * BASE & ~low | np.arange(len(keys), dtype=np.uint64))
    again = (keys[1:] & low)[keys[1:] ^ keys[:-1] <= low].astype(np.int64)
    return np.bincount(owners[again], sizes[again], minlength=len(firsts)).astype(np.int64)


@cache
def _codes() -> np.ndarray:
    """Returns the kind of each character, with IS_RARE added to those of RARE, uint8."""
    codes = kinds(np.arange(TABLE))
    codes[[ord(character) for character in RARE]] |= IS_RARE
    return codes


@cache
def _among(marks: str) -> np.ndarray:
    """Returns which characters are among the marks, bool [0x10000]."""
    return np.isin(np.arange(0x10000), [ord(mark) for mark in marks])
