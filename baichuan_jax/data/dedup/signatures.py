"""MinHash signatures of texts, from which their Jaccard similarity is estimated (Broder 1997).

Two signatures agree in a share of their entries whose expectation is the Jaccard similarity s of the sets of shingles,
with a standard error of sqrt(s (1 - s) / permutations): 0.04 at s = 0.8 and 112 permutations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from baichuan_jax.data.dedup.shingles import TOKENS, Tokens, shingles_of, tokenized
from baichuan_jax.data.permutation import mix

PERMUTATIONS = 112  # 14 bands of 8 rows, as Lee et al. and FineWeb
SEED = 0x5EED


def signatures(texts: Sequence[str], permutations: int = PERMUTATIONS, width: int = TOKENS) -> np.ndarray:
    """Return uint32 [texts, permutations]; a row depends on its text alone.

    width: tokens in a shingle. A text longer than BATCH characters is cut into pieces of that length: the few shingles
    across a cut are replaced by those on its two sides. The signature of a text without letters and digits is all
    2^32 - 1.
    """
    return signatures_of(tokenized(texts), len(texts), permutations, width)


def signatures_of(
    parts: Iterable[Tokens], texts: int, permutations: int = PERMUTATIONS, width: int = TOKENS
) -> np.ndarray:
    """Return the result of `signatures` from the tokens of `texts` texts."""
    result = unsigned(texts, permutations)
    for owners, hashes, counts in parts:
        sign(result, owners, *shingles_of(hashes, counts, width))
    return result


def unsigned(texts: int, permutations: int) -> np.ndarray:
    """Return the signatures of empty sets of shingles, uint32 [texts, permutations], for `sign`."""
    return np.full((texts, permutations), np.iinfo(np.uint32).max, np.uint32)


def sign(result: np.ndarray, owners: np.ndarray, hashes: np.ndarray, numbers: np.ndarray) -> None:
    """Add shingles to signatures. owners: int64 [pieces], the row of each; hashes, numbers: as from `shingles`."""
    full = np.flatnonzero(numbers)
    if full.size:
        minima = _minima(hashes, (np.cumsum(numbers) - numbers)[full], result.shape[1])
        rows = owners[full]
        if (rows[1:] > rows[:-1]).all():
            result[rows] = np.minimum(result[rows], minima)
        else:
            np.minimum.at(result, rows, minima)  # a long text owns several pieces; many times slower


def _minima(hashes: np.ndarray, starts: np.ndarray, permutations: int) -> np.ndarray:
    """Return the minimum of each permutation of the hashes of each run, uint32 [runs, permutations].

    starts: int64 [runs], where each run of hashes begins. x -> x * a modulo 2^32, a odd, permutes the 32-bit integers.
    The hashes are random already: the usual "+ b" changes neither bias nor variance of the estimate, as measured with
    sets of 8 to 2,000, and costs time. One product serves two permutations, the second being the first one reversed:
    its minimum, 2^32 - 1 minus the maximum, comes from another shingle, which lowers the variance for small sets. The
    two are half a signature apart, so that no band contains both.
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
