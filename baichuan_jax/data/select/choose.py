"""What becomes of each document, from all that is known of it."""

from __future__ import annotations

import numpy as np

from baichuan_jax.data.permutation import mix

SEED = 0xCA9


def quality_order(score: np.ndarray, size: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Return the rank of documents, int64 [documents]: 0 is the best. No two are equal if the keys differ.

    Scores are compared in steps of 0.05, finer differences say little; of equal ones the longer text is the better.
    """
    steps = np.round(np.asarray(score, np.float64) * 20)
    order = np.lexsort((key, -size.astype(np.int64), -steps))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def within_cap(score: np.ndarray, size: np.ndarray, key: np.ndarray, most: int) -> np.ndarray:
    """Return bool [documents]: those with the best scores that fit `most` bytes together, drawn by hash among equals.

    The first that does not fit ends the choice, so that long texts are not passed over for short ones.
    """
    steps = np.round(np.asarray(score, np.float64) * 20)
    order = np.lexsort((mix(key, SEED), -steps))
    fits = np.zeros(len(order), bool)
    fits[order] = np.cumsum(size[order].astype(np.int64)) <= most
    return fits
