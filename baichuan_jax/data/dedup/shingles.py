"""Shingles: the runs of a few tokens that a text consists of, hashed to 32 bits, for many texts in one flat array.

Two texts are as alike as their sets of shingles (Broder 1997; Leskovec et al., Mining of Massive Datasets, ch. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from baichuan_jax.data.characters import TABLE
from baichuan_jax.data.permutation import mix

TOKENS = 5  # in a shingle, as Lee et al. 2021 (arXiv 2107.06499)
BATCH = 1 << 17  # characters in a flat array of texts: up to 190 bytes of memory each
ALONE = 0x2E80  # from here on lie the scripts written without spaces: ideographs, kana
WORD_BASE, SHINGLE_BASE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # odd, so invertible


def shingles(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns (hashes uint32 [shingles], number int64 [texts] of them that each text has) of a batch of texts.

    A token is an ideograph, or a run of other letters and digits, lower-cased; all else only separates. So a shingle
    says about as much in Chinese as in English, and mixed text needs no choice between characters and words that one
    edit could tip. A text of fewer than TOKENS tokens is one shingle; one without letters and digits has none.
    The texts have 2 * BATCH characters in all at most, one more counted for each text.
    """
    tokens, counts = _tokens(texts)
    ends = np.cumsum(counts)
    # Zeros between the texts let a shingle of a short one end there, and not in the next text.
    spread = np.zeros(len(tokens) + TOKENS * len(counts), np.uint64)
    firsts = ends - counts + TOKENS * np.arange(len(counts))
    spread[_ranges(firsts, counts)] = tokens
    hashes = spread.copy()
    for _ in range(TOKENS - 1):
        hashes[:-1] = hashes[1:] * SHINGLE_BASE + spread[:-1]  # Horner's rule
    numbers = np.where(counts > 0, np.maximum(counts - TOKENS + 1, 1), 0)
    return (mix(hashes[_ranges(firsts, numbers)], 0) >> np.uint64(32)).astype(np.uint32), numbers


def _tokens(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns (hashes uint64 [tokens], number of tokens int64 [texts])."""
    points = np.frombuffer("".join(text + "\n" for text in texts).encode("utf-32-le"), np.uint32)
    codes = _codes()[np.minimum(points, TABLE - 1)]
    run = (codes > 0) & (codes < ALONE)
    start = codes > 0
    start[1:] &= ~(run[1:] & run[:-1])
    starts = np.flatnonzero(start)
    # The sum of code * base^position over a token, moved to position 0: equal wherever in the array the token stands.
    powers, inverses = _powers()
    sums = np.cumsum(codes * powers[: len(codes)])
    lasts = np.append(starts, len(codes))[1:] - 1
    hashes = np.diff(sums[lasts], prepend=np.uint64(0)) * inverses[starts]
    ends = np.cumsum([len(text) + 1 for text in texts])
    return hashes, np.diff(np.searchsorted(starts, ends), prepend=0)


def _ranges(firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns first, first + 1, ... for each of `firsts`, as many as `counts` says, one after the other."""
    return np.repeat(firsts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())


@cache
def _codes() -> np.ndarray:
    """Returns what each character counts as, uint32 [TABLE]: its lower case, or 0 if it only separates."""
    return np.array([ord(chr(point).lower()[0]) if chr(point).isalnum() else 0 for point in range(TABLE)], np.uint32)


@cache
def _powers() -> tuple[np.ndarray, np.ndarray]:
    """Returns WORD_BASE and its inverse modulo 2^64 to the powers 0, 1, ..., uint64 [2 * BATCH] each."""
    inverse = np.uint64(pow(int(WORD_BASE), -1, 2**64))
    ones = np.ones(2 * BATCH, np.uint64)
    return tuple(np.cumprod(np.append(ones[:1], ones[1:] * base)) for base in (WORD_BASE, inverse))
