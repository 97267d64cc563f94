"""MinHash: a short signature of a text, from which the likeness of two texts is estimated (Broder 1997).

The Jaccard similarity of two texts is the share of their shingles that both have; two signatures agree in that share
of their numbers, on average, with a standard error of sqrt(s (1 - s) / permutations): 0.04 at s = 0.8 and 112.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from baichuan_jax.data.dedup.shingles import TOKENS, Tokens, shingles_of, tokenized
from baichuan_jax.data.permutation import mix

PERMUTATIONS = 112  # 14 bands of 8 rows, as Lee et al. and FineWeb
SEED = 0x5EED


def signatures(texts: Sequence[str], permutations: int = PERMUTATIONS, width: int = TOKENS) -> np.ndarray:
    """Return uint32 [texts, permutations], a row for each text that depends on nothing but this text.

    width: tokens in a shingle. A text longer than BATCH characters is cut into pieces of that length, and the few
    shingles that lie across a cut are replaced by those of its two sides. Texts without letters and digits have equal
    signatures, all 2^32 - 1.
    """
    return signatures_of(tokenized(texts), len(texts), permutations, width)


def signatures_of(
    parts: Iterable[Tokens], texts: int, permutations: int = PERMUTATIONS, width: int = TOKENS
) -> np.ndarray:
    """Return what `signatures` does, from the tokens of so many texts."""
    result = unsigned(texts, permutations)
    for owners, hashes, counts in parts:
        sign(result, owners, *shingles_of(hashes, counts, width))
    return result


def unsigned(texts: int, permutations: int) -> np.ndarray:
    """Return the signatures of texts before any of their shingles has been seen, uint32 [texts, permutations]."""
    return np.full((texts, permutations), np.iinfo(np.uint32).max, np.uint32)


def sign(result: np.ndarray, owners: np.ndarray, hashes: np.ndarray, numbers: np.ndarray) -> None:
    """Add shingles to signatures. owners: int64 [pieces], the row of each; hashes, numbers: of `shingles`."""
    full = np.flatnonzero(numbers)
    if full.size:
        minima = _minima(hashes, (np.cumsum(numbers) - numbers)[full], result.shape[1])
        rows = owners[full]
        if (rows[1:] > rows[:-1]).all():
            result[rows] = np.minimum(result[rows], minima)
        else:
            np.minimum.at(result, rows, minima)  # a long text owns several pieces; many times slower


def _minima(hashes: np.ndarray, starts: np.ndarray, permutations: int) -> np.ndarray:
    """Return the least of each permutation of the hashes, uint32 [runs, permutations], of the runs from `starts` on.

    x -> x * a modulo 2^32, a odd, permutes the 32-bit integers. The hashes are random already: the usual "+ b" changes
    neither bias nor variance of the estimate, as measured with sets of 8 to 2,000, and costs time. So does one product
    for two permutations, of which the second is the first one upside down: its minimum, 2^32 - 1 less the maximum, is
    another shingle's, which makes the variance of small sets less. The pair lies half a signature apart, so that no
    band has both.
    """
    half = -(-permutations // 2)
    factors = (mix(np.arange(half, dtype=np.uint64), SEED) >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
    permuted, extrema = np.empty_like(hashes), np.empty((2 * half, len(starts)), np.uint32)
    for factor, least, most in zip(factors, extrema[:half], extrema[half:]):
        np.multiply(hashes, factor, out=permuted)
        np.minimum.reduceat(permuted, starts, out=least)
        np.maximum.reduceat(permuted, starts, out=most)
    np.invert(extrema[half:], out=extrema[half:])
    return extrema[:permutations].T
