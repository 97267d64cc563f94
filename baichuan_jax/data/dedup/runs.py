"""Runs in flat arrays: equal values are adjacent, and a second array holds where each run begins."""

from __future__ import annotations

import numpy as np


def run_starts(values: np.ndarray) -> np.ndarray:
    """Return where each run of equal values starts, int64 [runs]."""
    return np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])


def distinct(values: np.ndarray) -> np.ndarray:
    """Return the distinct values, sorted. `np.unique` uses a table for large integer arrays, which is 10x slower."""
    ordered = np.sort(values)
    return ordered[run_starts(ordered)]


def ranges(firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the concatenation of range(first, first + count) for each of `firsts` and `counts`, int64."""
    return np.repeat(firsts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
