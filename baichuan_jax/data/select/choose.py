"""The order of documents by quality, and the choice under a limit of bytes."""

from __future__ import annotations

import numpy as np

from baichuan_jax.data.permutation import mix

SEED = 0xCA9


def quality_order(score: np.ndarray, size: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Return the rank of documents, int64 [documents], 0 for the best; a permutation, unique if the keys are.

    Scores are rounded to steps of 0.05, because finer differences mean little; among equals the longer text is better.
    """
    steps = np.round(np.asarray(score, np.float64) * 20)
    order = np.lexsort((key, -size.astype(np.int64), -steps))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def within_cap(score: np.ndarray, size: np.ndarray, key: np.ndarray, most: int) -> np.ndarray:
    """Return bool [documents], true for those with the best scores, at most `most` bytes in all; ties by hash.

    The first document that does not fit ends the choice, so that long texts are not passed over for short ones.
    """
    steps = np.round(np.asarray(score, np.float64) * 20)
    order = np.lexsort((mix(key, SEED), -steps))
    fits = np.zeros(len(order), bool)
    fits[order] = np.cumsum(size[order].astype(np.int64)) <= most
    return fits
