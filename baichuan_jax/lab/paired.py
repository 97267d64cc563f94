"""Paired comparisons: the mean of differences with two intervals, and a verdict that is computed from them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 10_000
Verdict = Literal["better", "worse", "cannot tell"]


class Paired(NamedTuple):
    """The mean of differences; its t interval and its bootstrap interval, (low, high); the verdict."""

    mean: float
    t: tuple[float, float]
    bootstrap: tuple[float, float]
    verdict: Verdict


def compare_pairs(differences: np.ndarray) -> Paired:
    """Compare losses seed by seed. differences: of one method to another, two or more; negative is better.

    "better" and "worse" need both intervals on one side of 0. The bootstrap draws the pairs, with a fixed seed.
    """
    mean, count = float(differences.mean()), len(differences)
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1) * differences.std(ddof=1) / count**0.5)
    drawn = differences[np.random.default_rng(0).integers(0, count, (RESAMPLES, count))].mean(axis=1)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    t, bootstrap = (mean - half, mean + half), (low, high)
    verdict: Verdict = "cannot tell"
    if max(t[1], high) < 0:
        verdict = "better"
    elif min(t[0], low) > 0:
        verdict = "worse"
    return Paired(mean, t, bootstrap, verdict)
