"""Counts of characters, words and lines that the rules share, for many texts at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from baichuan_jax.data.characters import (
    BRACKET,
    HAN,
    KANA,
    KINDS,
    LATIN,
    LETTER,
    NEWLINE,
    PUNCTUATION,
    SPACE,
    STOP,
    TABLE,
    join,
    kinds,
    points,
    text_ends,
)
from baichuan_jax.data.language import Language, identify
from baichuan_jax.data.rules.boilerplate import RARE
from baichuan_jax.data.rules.hints import hints
from baichuan_jax.data.rules.marks import among

IS_RARE, IS_ODD = 16, 32  # beside the bits of a kind
SLOTS = 16  # log2 of the number of slots that lines are hashed to
BASE = np.uint32(0x9E3779B1)  # odd, so invertible
ODD = "锟烫Ãâ"  # frequent in text that was decoded with a wrong table
SHORT = 20  # most characters of a loose line
BULLETS, CLOSING = "-*•●·◆■▲", "”’」』）》〉】\"')]*"
# Columns of `Facts.layout`: words; then non-blank lines: all, those that begin with a bullet, those that end with an
# ellipsis, and loose ones, which are short and end without a mark; characters in the longest line; and characters in
# lines that may be repetitions.
WORDS, LINES, BULLET_LINES, ELLIPSIS_LINES, LOOSE_LINES, LONGEST_LINE, REPEATED = range(7)


class Facts(NamedTuple):
    """Normalised texts and their counts.

    letters: int64 [texts], number of letters. visible: int64 [texts], number of characters that are not white space,
    at least 1. kinds: int64 [KINDS, texts], number of characters of each kind (`characters`). layout: int64 [columns,
    texts], of words and lines, see above. hints: {index of a text: places that `prune` examines, in order} (`hints`).
    odd: the indices of texts with one of the characters ODD.
    """

    texts: Sequence[str]
    languages: list[Language]
    letters: np.ndarray
    visible: np.ndarray
    kinds: np.ndarray
    layout: np.ndarray
    hints: dict[int, list[int]]
    odd: set[int]


def facts(texts: Sequence[str], hinted: bool = True) -> Facts:
    """Return the facts of normalised texts; hints only if `hinted`.

    A few hundred short texts at once are several times as fast as one by one.
    """
    joined, stops = join(texts), text_ends(texts)
    characters = points(joined)
    codes = _codes().take(characters, mode="clip")
    of_kind, rare = codes & (IS_RARE - 1), np.flatnonzero(codes & IS_RARE != 0)
    lengths = np.diff(stops, prepend=0)
    starts = stops - lengths
    kinds = _count_kinds(of_kind, stops)
    lines = _lines(of_kind)
    return Facts(
        texts=texts,
        languages=identify(texts, kinds),
        letters=kinds[[HAN, KANA, LATIN, LETTER]].sum(axis=0),
        visible=np.maximum(lengths - 1 - kinds[SPACE] - kinds[NEWLINE], 1),
        kinds=kinds,
        layout=_layout(characters, of_kind, lines, np.searchsorted(lines.stops, starts)),
        hints=_by_text(hints(joined, characters, lines.starts, rare), starts) if hinted else {},
        odd=set(np.searchsorted(stops, np.flatnonzero(codes >= IS_ODD), side="right").tolist()),
    )


def recounted(found: Facts, numbers: Sequence[int], change: Callable[[str, int, Language], str]) -> Facts:
    """Return the facts of some texts after a change that keeps their language and punctuation.

    change: takes a text, the number of its letters and its language; returns the changed text.
    """
    languages = [found.languages[number] for number in numbers]
    letters = found.letters[numbers].tolist()
    changed = facts([change(found.texts[n], k, m) for n, k, m in zip(numbers, letters, languages)], hinted=False)
    for kind in (STOP, BRACKET, PUNCTUATION):
        np.maximum(changed.kinds[kind], found.kinds[kind, numbers], out=changed.kinds[kind])
    return changed._replace(languages=languages)


def _by_text(places: np.ndarray, starts: np.ndarray) -> dict[int, list[int]]:
    """Return {index of a text: places in it}, from places among the characters of all texts."""
    found: dict[int, list[int]] = {}
    owners = np.searchsorted(starts, places, side="right") - 1
    for owner, place in zip(owners.tolist(), (places - starts[owners]).tolist()):
        found.setdefault(owner, []).append(place)
    return found


def _count_kinds(of_kind: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return the number of characters of each kind in each text, int64 [KINDS, texts], without the separators.

    Bit-parallel, 64 characters a word: the bit planes of the kinds are combined into one bitmap per kind.
    """
    planes = [np.stack([~plane, plane]) for plane in (_words(of_kind & (1 << bit)) for bit in range(4))]
    low, high = (planes[bit] & planes[bit + 1][:, None] for bit in (0, 2))  # [2, 2, words]
    same = (low.reshape(4, -1) & high.reshape(4, 1, -1)).reshape(16, -1)[:KINDS]
    word, rest = stops // 64, (stops % 64).astype(np.uint64)
    # The count up to the end of the word in which a text ends, minus the characters after its end.
    before = np.cumsum(np.bitwise_count(same), axis=1, dtype=np.int64)[:, word]
    before -= np.bitwise_count(same[:, word] >> rest)
    counts = np.diff(before, prepend=0)
    counts[NEWLINE] -= 1
    return counts


def _words(flags: np.ndarray) -> np.ndarray:
    """Return a bitmap of the nonzero flags, lowest bit first, uint64 [len(flags) // 64 + 1]."""
    words = np.zeros(len(flags) // 64 + 1, "<u8")
    bits = np.packbits(flags, bitorder="little")
    words.view(np.uint8)[: len(bits)] = bits
    return words


class _Lines(NamedTuple):
    """Lines of all texts.

    stops, starts: int64 [lines], where each ends, and begins after its spaces (a blank one at its end). words: int64
    [lines + 1], how many begin before each line, and in all.
    """

    stops: np.ndarray
    starts: np.ndarray
    words: np.ndarray


def _lines(of_kind: np.ndarray) -> _Lines:
    newlines = of_kind == NEWLINE
    visible = ~(newlines | (of_kind == SPACE))
    visible[1:] &= ~visible[:-1]
    marks = np.flatnonzero(newlines | visible)  # the ends of lines, and the beginnings of words
    of_ends = np.flatnonzero(newlines[marks])
    firsts = np.append(0, of_ends + 1)
    return _Lines(marks[of_ends], marks[firsts[:-1]], firsts - np.arange(len(firsts)))


def _layout(characters: np.ndarray, of_kind: np.ndarray, lines: _Lines, firsts: np.ndarray) -> np.ndarray:
    """Return the columns of `Facts.layout`, int64 [columns, texts]. firsts: int64 [texts], the first line of each."""
    lasts = lines.stops - 1
    final = characters[lasts]
    spelt = (characters.take(lasts - 1, mode="wrap") == final) & (characters.take(lasts - 2, mode="wrap") == final)
    ellipsis = (final == ord("…")) | spelt & ((final == ord(".")) | (final == ord("。")))
    for _ in range(2):
        lasts -= among(CLOSING).take(characters[lasts], mode="clip")
    sizes = lines.stops - lines.starts
    full = sizes > 0
    loose = (sizes <= SHORT) & (of_kind[lasts] != STOP)
    flags = [full, among(BULLETS).take(characters[lines.starts], mode="clip"), ellipsis, loose]
    columns = [np.add.reduceat(flag & full, firsts, dtype=np.int64) for flag in flags]
    words = np.diff(lines.words[np.append(firsts, -1)])
    return np.stack([words, *columns, np.maximum.reduceat(sizes, firsts), _repeated(characters, lines, firsts)])


def _repeated(characters: np.ndarray, lines: _Lines, firsts: np.ndarray) -> np.ndarray:
    """Return the number of characters of each text in lines that may be repetitions, int64 [texts].

    An upper bound that is rarely exceeded by much: lines of equal length that agree in four characters count as equal,
    and a few others by chance.
    """
    sizes = lines.stops - lines.starts
    keys = np.repeat(np.arange(len(firsts), dtype=np.uint32), np.diff(firsts, append=len(sizes)))
    for part in (sizes.astype(np.uint32), *(characters[lines.starts + (sizes * quarter >> 2)] for quarter in range(4))):
        keys = keys * BASE + part
    slots = keys * BASE >> np.uint32(32 - SLOTS)
    order = np.arange(len(keys), dtype=np.int32)
    first = np.empty(1 << SLOTS, np.int32)
    first[slots[::-1]] = order[::-1]  # the last assignment wins, so each slot keeps its first line
    return np.add.reduceat(sizes * (first[slots] != order), firsts)


@cache
def _codes() -> np.ndarray:
    """Return the kind of each character, with IS_RARE added to those of RARE, and IS_ODD to those of ODD, uint8."""
    codes = kinds(np.arange(TABLE))
    for characters, bit in ((RARE, IS_RARE), (ODD, IS_ODD)):
        codes[[ord(character) for character in characters]] |= bit
    return codes
