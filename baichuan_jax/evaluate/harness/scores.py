"""Scores of answers: mean, standard error, confidence interval and the score of guessing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Any

DEVIATIONS = NormalDist().inv_cdf((1 + 0.95) / 2)  # standard deviations of a 95 % confidence interval


@dataclass(frozen=True)
class Figure:
    """values: score of every question, 0 to 1. chance: expected score of guessing, for every question."""

    values: tuple[float, ...]
    chance: tuple[float, ...]

    def summary(self) -> dict[str, float]:
        """Return mean, standard error of the mean, the bounds of a confidence interval, chance, and questions.

        The interval is Wilson's (1927), which stays within 0 and 1 and is not empty if all answers are alike.
        """
        count = len(self.values)
        mean = fmean(self.values)
        low, high = wilson(mean, count)
        return {
            "mean": mean,
            "stderr": stdev(self.values) / math.sqrt(count) if count > 1 else 0.0,
            "low": low,
            "high": high,
            "chance": fmean(self.chance),
            "questions": count,
        }


def wilson(mean: float, count: int) -> tuple[float, float]:
    """Return the bounds of the 95 % score interval (Wilson 1927) of a share of `count`."""
    z = DEVIATIONS
    centre = (mean + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(mean * (1 - mean) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)


def over_subjects(figures: Sequence[Figure]) -> dict[str, float]:
    """Return the unweighted mean over subjects, with its standard error and interval."""
    parts = [figure.summary() for figure in figures]
    mean, stderr = fmean(part["mean"] for part in parts), math.hypot(*(part["stderr"] for part in parts)) / len(parts)
    return {
        "mean": mean,
        "stderr": stderr,
        "low": max(0.0, mean - DEVIATIONS * stderr),
        "high": min(1.0, mean + DEVIATIONS * stderr),
        "chance": fmean(part["chance"] for part in parts),
        "questions": sum(part["questions"] for part in parts),
    }


def pooled(figures: Sequence[Figure]) -> Figure:
    """Return the unweighted figure of all questions."""
    return Figure(*(tuple(x for part in figures for x in getattr(part, name)) for name in ("values", "chance")))


def chance(sample: dict[str, Any]) -> float:
    """Return the share of correct choices of an lm-eval sample; 0 if it has no choices."""
    choices = len(sample["filtered_resps"])
    if choices < 2:
        return 0.0
    gold = sample["doc"].get("gold")
    return len(gold) / choices if isinstance(gold, list) else 1 / choices
