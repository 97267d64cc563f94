"""Probabilities that hold, and measures that are what they are called."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.data.quality.calibrate import auc, calibrate, reliability
from baichuan_jax.data.quality.learn import sigmoid


def gaussian(number, between, within, rng):
    """Sum of weights as the docstring of `calibrate` has them: means differ from text to text, and within a text."""
    good = np.arange(2 * number) < number
    counts = np.floor(3 * 2 ** rng.uniform(0, 7, 2 * number))
    means = np.where(good, 1.0, -0.5) + rng.normal(0, np.sqrt(between + within / counts))
    return means * counts, counts, good


def probabilities(sums, numbers, fitted):
    scale, bias, prior = fitted
    return sigmoid((scale * sums + bias * numbers) / (numbers + prior))


@pytest.mark.parametrize("ratio", [12, 96])
def test_gaussian_means_are_calibrated_at_every_length(ratio):
    rng = np.random.default_rng(0)
    fitted = calibrate(*gaussian(10_000, 1.0, ratio, rng))
    assert ratio / 2 <= fitted[2] <= 2 * ratio
    sums, numbers, good = gaussian(40_000, 1.0, ratio, rng)
    scores = probabilities(sums, numbers, fitted)
    for low, high in ((0, 12), (12, 48), (48, 400)):
        some = (numbers >= low) & (numbers < high)
        for entry in reliability(scores[some], good[some]):
            error = (entry["mean_score"] * (1 - entry["mean_score"]) / entry["count"]) ** 0.5
            assert abs(entry["mean_score"] - entry["share_good"]) < 0.03 + 4 * error


@pytest.mark.parametrize("factor", [1e-3, 1, 1e3])
def test_classes_that_do_not_overlap(factor):
    good = np.arange(40) < 20
    sums = factor * np.where(good, 30.0, -50.0)
    scores = probabilities(sums, np.full(40, 30.0), calibrate(sums, np.full(40, 30.0), good))
    assert scores[good] == pytest.approx(21 / 22, abs=0.002)  # Platt's targets, no certainty
    assert scores[~good] == pytest.approx(1 / 22, abs=0.002)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_counts_pairs(entries):
    good = [value for value, is_good in entries if is_good]
    bad = [value for value, is_good in entries if not is_good]
    if good and bad:
        pairs = [(a > b) + (a == b) / 2 for a in good for b in bad]
        values, truth = (np.array(column) for column in zip(*entries))
        assert auc(values, truth) == pytest.approx(sum(pairs) / len(pairs))


def test_reliability():
    scores, good = np.array([0.02, 0.08, 0.55, 1.0]), np.array([False, True, True, True])
    assert reliability(scores, good) == [
        {"low": 0.0, "high": 0.1, "mean_score": pytest.approx(0.05), "share_good": 0.5, "count": 2},
        {"low": 0.5, "high": 0.6, "mean_score": 0.55, "share_good": 1.0, "count": 1},
        {"low": 0.9, "high": 1.0, "mean_score": 1.0, "share_good": 1.0, "count": 1},
    ]
