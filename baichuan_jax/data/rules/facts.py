"""Facts about texts that the rules share, counted for many texts at once."""

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

IS_RARE, IS_ODD = 16, 32  # beside the bits of a kind
SLOTS = 16  # bits of the number of slots that lines are hashed to
BASE = np.uint32(0x9E3779B1)  # odd, so invertible
ODD = "锟烫Ãâ"  # what text that was decoded with a wrong table is full of
SHORT = 20  # characters in a loose line, at most
BULLETS, CLOSING = "-*•●·◆■▲", "”’」』）》〉】\"')]*"
# Columns of `Facts.layout`: words; then lines that are not blank: all, those that begin with a bullet, those that end
# with an ellipsis, the loose ones, which are short and end with no mark; characters in the longest line; and characters
# in lines that may stand in the text already.
WORDS, LINES, BULLET_LINES, ELLIPSIS_LINES, LOOSE_LINES, LONGEST_LINE, REPEATED = range(7)


class Facts(NamedTuple):
    """Normalised texts and what the rules share.

    letters, visible: int64 [texts], characters that are letters; that are no white space, 1 at least. kinds: int64
    [KINDS, texts], characters of each kind (`characters`). layout: int64 [columns, texts], words and lines, see above.
    hints: the places in a text, in order, that `prune` looks at (`hints`), by its number, if there are any. odd:
    the numbers of texts that have one of the characters ODD.
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
    """Return the facts of normalised texts, without hints if not `hinted`.

    Of a few hundred short ones at once it is several times as fast.
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
    """Return the facts of some of the texts after a change, that takes neither language nor punctuation from them.

    change: of a text, its letters and its language.
    """
    languages = [found.languages[number] for number in numbers]
    letters = found.letters[numbers].tolist()
    changed = facts([change(found.texts[n], k, m) for n, k, m in zip(numbers, letters, languages)], hinted=False)
    for kind in (STOP, BRACKET, PUNCTUATION):
        np.maximum(changed.kinds[kind], found.kinds[kind, numbers], out=changed.kinds[kind])
    return changed._replace(languages=languages)


def _by_text(places: np.ndarray, starts: np.ndarray) -> dict[int, list[int]]:
    """Return the places in each text, of places among the characters of all."""
    found: dict[int, list[int]] = {}
    owners = np.searchsorted(starts, places, side="right") - 1
    for owner, place in zip(owners.tolist(), (places - starts[owners]).tolist()):
        found.setdefault(owner, []).append(place)
    return found


def _count_kinds(of_kind: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return the characters of each kind in each text, int64 [KINDS, texts]; the line ends between texts are none.

    Counted in words of 64 characters, a bit for each: a word for each bit of the kinds makes one for each kind.
    """
    planes = [np.stack([~plane, plane]) for plane in (_words(of_kind & (1 << bit)) for bit in range(4))]
    low, high = (planes[bit] & planes[bit + 1][:, None] for bit in (0, 2))  # [2, 2, words]
    same = (low.reshape(4, -1) & high.reshape(4, 1, -1)).reshape(16, -1)[:KINDS]
    word, rest = stops // 64, (stops % 64).astype(np.uint64)
    # All up to the end of the word in which a text ends, less those from its end on.
    before = np.cumsum(np.bitwise_count(same), axis=1, dtype=np.int64)[:, word]
    before -= np.bitwise_count(same[:, word] >> rest)
    counts = np.diff(before, prepend=0)
    counts[NEWLINE] -= 1
    return counts


def _words(flags: np.ndarray) -> np.ndarray:
    """Return whether each flag is not zero, as bits, lowest first, uint64 [len(flags) // 64 + 1]."""
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
        lasts -= _among(CLOSING).take(characters[lasts], mode="clip")
    sizes = lines.stops - lines.starts
    full = sizes > 0
    loose = (sizes <= SHORT) & (of_kind[lasts] != STOP)
    flags = [full, _among(BULLETS).take(characters[lines.starts], mode="clip"), ellipsis, loose]
    columns = [np.add.reduceat(flag & full, firsts, dtype=np.int64) for flag in flags]
    words = np.diff(lines.words[np.append(firsts, -1)])
    return np.stack([words, *columns, np.maximum.reduceat(sizes, firsts), _repeated(characters, lines, firsts)])


def _repeated(characters: np.ndarray, lines: _Lines, firsts: np.ndarray) -> np.ndarray:
    """Return the characters of each text in lines that may stand there already, int64 [texts].

    Never too few, and seldom too many: taken for equal are lines of one length that agree in four characters, and a few
    others by chance.
    """
    sizes = lines.stops - lines.starts
    keys = np.repeat(np.arange(len(firsts), dtype=np.uint32), np.diff(firsts, append=len(sizes)))
    for part in (sizes.astype(np.uint32), *(characters[lines.starts + (sizes * quarter >> 2)] for quarter in range(4))):
        keys = keys * BASE + part
    slots = keys * BASE >> np.uint32(32 - SLOTS)
    order = np.arange(len(keys), dtype=np.int32)
    first = np.empty(1 << SLOTS, np.int32)
    first[slots[::-1]] = order[::-1]  # the last one to be set stays: of each slot the first
    return np.add.reduceat(sizes * (first[slots] != order), firsts)


@cache
def _codes() -> np.ndarray:
    """Return the kind of each character, with IS_RARE added to those of RARE, and IS_ODD to those of ODD, uint8."""
    codes = kinds(np.arange(TABLE))
    for characters, bit in ((RARE, IS_RARE), (ODD, IS_ODD)):
        codes[[ord(character) for character in characters]] |= bit
    return codes


@cache
def _among(marks: str) -> np.ndarray:
    """Return which characters are among the marks, bool [0x10000]."""
    return np.isin(np.arange(0x10000), [ord(mark) for mark in marks])
