"""Shingles: the token n-grams of a text, hashed to 32 bits, for many texts in one flat array.

The similarity of two texts is that of their sets of shingles (Broder 1997; Leskovec et al., Mining of Massive
Datasets, ch. 3).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from baichuan_jax.data.characters import HAN, TABLE, join, kinds, points, text_ends
from baichuan_jax.data.dedup.runs import ranges
from baichuan_jax.data.permutation import mix

TOKENS = 5  # in a shingle, as Lee et al. 2021 (arXiv 2107.06499)
BATCH = 1 << 17  # characters in a flat array of texts: up to 190 bytes of memory each
ALONE = 0x2E80  # from here on are the scripts written without spaces: ideographs, kana
# Other scripts without spaces: Thai, Lao, Burmese, Khmer. There a token is a letter with its marks.
CLUSTERS, CLUSTER = ((0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800)), 1 << 24
VARIATION = (0xFE00, 0xFE0F)  # selectors of another form of the same character
JOINERS = (0x200C, 0x200D, 0x180E)  # zero-width (non-)joiner, Mongolian vowel separator: they stand inside words
WORD_BASE, SHINGLE_BASE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # odd, so invertible


class Tokens(NamedTuple):
    """Tokens of pieces of texts. owners: int64 [pieces], the index of each text. hashes, counts: as from `tokens`."""

    owners: np.ndarray
    hashes: np.ndarray
    counts: np.ndarray


def batches(texts: Sequence[str]) -> Iterator[tuple[np.ndarray, Sequence[str]]]:
    """Yield (owners int64 [pieces], pieces) of all texts, in order, about BATCH characters at a time.

    A text of BATCH characters or more is cut into several pieces; the owner of a piece is the index of its text.
    """
    owners, pieces, lengths = np.arange(len(texts)), texts, _lengths(texts)
    if (lengths >= BATCH).any():
        pieces = [text[start : start + BATCH - 1] for text in texts for start in range(0, len(text) or 1, BATCH - 1)]
        owners = np.repeat(owners, np.maximum(-(-lengths // (BATCH - 1)), 1))
        lengths = _lengths(pieces)
    cuts = np.flatnonzero(np.diff(np.cumsum(lengths + 1) // BATCH)) + 1
    for first, last in pairwise([0, *cuts, len(pieces)] if len(pieces) else []):
        yield owners[first:last], pieces[first:last]


def shingles(texts: Sequence[str], width: int = TOKENS) -> tuple[np.ndarray, np.ndarray]:
    """Return (hashes uint32 [shingles], their number in each text, int64 [texts]) of a batch of texts.

    A token is an ideograph, or a run of other letters (with their marks) and digits, lower-cased; all other characters
    are separators. So a shingle carries about as much information in Chinese as in English, and mixed text needs no
    choice between characters and words, which one edit could flip. A text of fewer than `width` tokens is one shingle;
    a text without letters and digits has none. The batch has at most 2 * BATCH characters, one added for each text.
    """
    return shingles_of(*tokens(texts), width)


def shingles_of(hashed: np.ndarray, counts: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the result of `shingles` from the tokens of the texts."""
    stops = np.cumsum(counts)
    # Zeros between the texts, so that a shingle of a short text does not extend into the next.
    spread = np.zeros(len(hashed) + width * len(counts), np.uint64)
    firsts = stops - counts + width * np.arange(len(counts))
    spread[ranges(firsts, counts)] = hashed
    hashes = spread.copy()
    for _ in range(width - 1):
        hashes[:-1] = hashes[1:] * SHINGLE_BASE + spread[:-1]  # Horner's rule
    numbers = np.where(counts > 0, np.maximum(counts - width + 1, 1), 0)
    return (mix(hashes[ranges(firsts, numbers)], 0) >> np.uint64(32)).astype(np.uint32), numbers


def tokens(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (hashes uint64 [tokens], counts int64 [texts]) of the tokens of a batch of texts, as in `shingles`.

    Equal tokens have equal hashes; their low bits alone are a poor hash. The batch has at most 2 * BATCH characters,
    one added for each text.
    """
    return tokens_of(points(join(texts)), text_ends(texts))


def tokenized(texts: Sequence[str]) -> Iterator[Tokens]:
    """Yield the tokens of any number of texts of any length, in order, one batch at a time."""
    for owners, pieces in batches(texts):
        yield Tokens(owners, *tokens(pieces))


def tokens_of(characters: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the result of `tokens` for concatenated texts.

    characters: uint32, at most 2 * BATCH. stops: int64 [texts], where each ends; a token belongs to the text that it
    begins in.
    """
    hashes, _, counts = placed_tokens_of(characters, stops)
    return hashes, counts


def placed_tokens_of(characters: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (hashes, where each token begins among the characters, int64; counts): `tokens_of` with places."""
    codes = _codes().take(characters, mode="clip")
    start = codes > 0
    goes_on = start & (codes < ALONE)
    start[1:] &= ~(goes_on[1:] & (goes_on[:-1] | (codes[:-1] >= CLUSTER)))
    starts = np.flatnonzero(start)
    # The sum of code * base^position over a token, shifted to position 0, so it does not depend on the place.
    bases, inverses = powers()
    sums = np.cumsum(codes * bases[: len(codes)])
    lasts = np.append(starts, len(codes))[1:] - 1
    hashes = np.diff(sums[lasts], prepend=np.uint64(0)) * inverses[starts]
    return hashes, starts, np.diff(np.searchsorted(starts, stops), prepend=0)


def _lengths(texts: Sequence[str]) -> np.ndarray:
    return np.fromiter(map(len, texts), np.int64, len(texts))


@cache
def _codes() -> np.ndarray:
    """Return the code of each character, uint32 [TABLE]: its lower case, or 0 for a separator."""
    codes = np.arange(TABLE, dtype=np.uint32)
    for point in np.flatnonzero(kinds(codes) != HAN).tolist():
        character = chr(point)
        marks = unicodedata.category(character).startswith("M") and not VARIATION[0] <= point <= VARIATION[1]
        codes[point] = ord(character.lower()[0]) if character.isalnum() or marks or point in JOINERS else 0
    for first, end in CLUSTERS:
        letters = [point for point in range(first, end) if chr(point).isalpha()]
        codes[letters] += CLUSTER
    return codes


@cache
def powers() -> tuple[np.ndarray, np.ndarray]:
    """Return WORD_BASE and its inverse modulo 2^64 to the powers 0, 1, ..., uint64 [2 * BATCH] each."""
    inverse = np.uint64(pow(int(WORD_BASE), -1, 2**64))
    ones = np.ones(2 * BATCH, np.uint64)
    return tuple(np.cumprod(np.append(ones[:1], ones[1:] * base)) for base in (WORD_BASE, inverse))
