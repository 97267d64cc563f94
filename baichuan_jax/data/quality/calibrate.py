"""Calibration: sums of weights to probabilities, and the reliability of these."""

from __future__ import annotations

import numpy as np

from baichuan_jax.data.quality.learn import sigmoid

PRIORS = 3.0 * 2.0 ** np.arange(11)  # the grid, in n-grams
STEPS, HALVINGS = 30, 20  # of Newton's method
BINS = 10


def calibrate(sums: np.ndarray, numbers: np.ndarray, good: np.ndarray) -> tuple[float, float, float]:
    """Return (scale, bias, prior): log odds of a good text = (scale * sum + bias * number) / (number + prior).

    sums: float64 [windows], of the weights of their n-grams. numbers: of their n-grams. good: bool [windows].

    This is Platt's scaling of the mean weight (Platt 1999, with his smoothed targets), times number / (number + prior).
    The factor follows from Gaussian means: if the means of the texts of a class have variance v, and the weights within
    a text variance w, the mean of a window has variance v + w / number, and the log odds are proportional to
    1 / (v + w / number): prior = w / v. So a short text stays near 1/2, and a long one gains little by being longer.
    """
    number = int(good.sum())
    targets = np.where(good, (number + 1) / (number + 2), 1 / (len(good) - number + 2))
    fits = []
    for prior in PRIORS:
        inputs = np.stack([sums, numbers], axis=1) / (numbers + prior)[:, None]
        factors = _regress(inputs, targets)
        fits.append((_loss(inputs, targets, factors), *factors.tolist(), float(prior)))
    return min(fits)[1:]


def _regress(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the coefficients, float64 [2], of the logistic regression of targets on inputs [n, 2].

    Newton's method with step halving, which Platt's own algorithm lacks and needs (Lin, Lin and Weng 2007).
    """
    factors = np.zeros(2)
    for _ in range(STEPS):
        chances = sigmoid(inputs @ factors)
        curvature = (inputs * (chances * (1 - chances))[:, None]).T @ inputs + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, inputs.T @ (chances - targets))
        loss = _loss(inputs, targets, factors)
        tried = (factors - step / 2**halving for halving in range(HALVINGS))
        better = next((trial for trial in tried if _loss(inputs, targets, trial) < loss), None)
        if better is None:
            break
        factors = better
    return factors


def _loss(inputs: np.ndarray, targets: np.ndarray, factors: np.ndarray) -> float:
    """Return the mean cross entropy."""
    logits = inputs @ factors
    return float(np.mean(np.logaddexp(0, logits) - targets * logits))


def reliability(scores: np.ndarray, good: np.ndarray) -> list[dict[str, float]]:
    """Return {"low", "high", "mean_score", "share_good", "count"} of each non-empty bin of 0.1 of the scores."""
    tenths = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    return [
        {
            "low": tenth / BINS,
            "high": (tenth + 1) / BINS,
            "mean_score": float(scores[here].mean()),
            "share_good": float(good[here].mean()),
            "count": int(here.sum()),
        }
        for tenth in range(BINS)
        if (here := tenths == tenth).any()
    ]


def auc(values: np.ndarray, good: np.ndarray) -> float:
    """Return the probability that a good text has a higher value than a bad one; ties count half."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[index]
    number = int(good.sum())
    return float((ranks[good].sum() - number * (number + 1) / 2) / (number * (len(good) - number)))
