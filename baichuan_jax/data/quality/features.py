"""Features: the token 1- to 3-grams of a text, hashed into a table, for many texts in one flat array.

Tokens are those of `shingles`. Punctuation and line breaks are left to the rules: as features they mostly show how a
source wraps its lines, and a model would learn the source.
"""

from __future__ import annotations

import numpy as np

from baichuan_jax.data.permutation import mix

ORDERS = 3  # n-grams of 1, 2 and 3 tokens
BASE = np.uint64(0xA0761D6478BD642F)  # odd, so invertible
SALT = 0x0A11


def slots(hashes: np.ndarray, counts: np.ndarray, features: int) -> np.ndarray:
    """Return the slots of the n-grams of 1, 2 and 3 tokens that begin at each token, int64 [3, tokens].

    hashes: uint64 [tokens] and counts: int64 [texts], as from `shingles.tokens`. A slot is in [0, 2^features); an
    n-gram that would cross the end of its text has the slot 2^features, whose weight is 0.
    """
    runs = [mix(hashes, SALT)]
    for order in range(1, ORDERS):
        run = runs[-1] * BASE  # Horner's rule; wrong where a text ends, which is corrected below
        run[:-order] += runs[0][order:]
        runs.append(run)
    found = (np.stack(runs) >> np.uint64(64 - features)).view(np.int64)
    stops = np.cumsum(counts)
    for order in range(1, ORDERS):
        for left in range(1, order + 1):  # tokens that the text has from here on
            found[order, stops[counts >= left] - left] = 1 << features
    return found


def ngrams(counts: np.ndarray) -> np.ndarray:
    """Return the number of n-grams of texts, from their numbers of tokens, int64 [texts]."""
    return sum(np.maximum(counts - order, 0) for order in range(ORDERS))


def sums(table: np.ndarray, found: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the sum of the weights of the n-grams of each text, float64 [texts]. table: [2^features + 1]."""
    weights = table.take(found[0])
    for row in found[1:]:
        weights += table.take(row)
    totals = np.append(0.0, np.cumsum(weights, dtype=np.float64))
    stops = np.cumsum(counts)
    return totals[stops] - totals[stops - counts]
