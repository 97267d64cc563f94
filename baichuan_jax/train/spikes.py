"""Spikes of the loss and of the gradient norm: steps that are far above those before, by a robust score.

The score of a value is taken of its logarithm: how far it is above the median of the last few, less what that usually
is, in units of the usual deviation (1.4826 times the median absolute one, which is the standard deviation of normal
noise). A rise, such as that of the norm in the warm-up, is usual, and so are single outliers.

Deviations have a least size. It keeps smooth runs from an alarm over nothing, and it is the one that counts for the
gradient norm: of a calm run most norms are within 5 % of the level, and single ones at 2 to 4 times it, so the usual
deviation says nothing of these. A score of 6 is at least 1.13 times the usual loss and 4.5 times the usual norm.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from baichuan_jax.train.config import SpikeConfig

LEVEL = 16  # steps that the level is the median of
LEAST_HISTORY = 32  # deviations below which nothing is known of what is usual
LEAST_DEVIATION = {"loss": 0.02, "grad_norm": 0.25}  # of logarithms
WATCHED = {"loss": "the loss", "grad_norm": "the gradient norm"}


class Detector:
    """Finds spikes among steps that come in order."""

    def __init__(self, cfg: SpikeConfig):
        self._cfg = cfg
        self.restore({})

    def add(self, values: Mapping[str, float]) -> str:
        """Return why a step is a spike, "" if it is none. What is a spike does not shape the score of later steps."""
        for name, what in WATCHED.items():
            value, series = values[name], self._series[name]
            if not math.isfinite(value):
                return f"{what} is {value}"
            if (score := series.score(value)) > self._cfg.score:
                return f"{what} is {value:.4g}, {score:.3g} deviations above {series.level:.4g}"
        for name, series in self._series.items():
            series.add(values[name])
        return ""

    def record(self) -> dict[str, list[list[float]]]:
        """Return what it remembers, as JSON values."""
        return {name: [list(series.values), list(series.deviations)] for name, series in self._series.items()}

    def restore(self, record: Mapping[str, Sequence[Iterable[float]]]) -> None:
        """Remember what is on record, and nothing else; without any, nothing."""
        self._series = {
            name: _Series(self._cfg.window, LEAST_DEVIATION[name], *record.get(name, ((), ()))) for name in WATCHED
        }


class _Series:
    """Logarithms of one quantity, and their deviations from the level before them."""

    def __init__(self, window: int, least: float, values: Iterable[float], deviations: Iterable[float]):
        self._least = least
        self.values, self.deviations = deque(values, LEVEL), deque(deviations, window)

    @property
    def level(self) -> float:
        """The median of the last few values."""
        return math.exp(median(self.values))

    def score(self, value: float) -> float:
        """Return how many usual deviations a value is above what it was to be, 0 while too little is known.

        That a fall goes on is not expected: it ends sooner or later, and the values that tell of that are no spikes.
        """
        if len(self.deviations) < LEAST_HISTORY:
            return 0.0
        usual = median(self.deviations)
        spread = 1.4826 * median([abs(deviation - usual) for deviation in self.deviations])
        return (_logarithm(value) - median(self.values) - max(usual, 0.0)) / max(spread, self._least)

    def add(self, value: float) -> None:
        """Add a value."""
        if len(self.values) == LEVEL:
            self.deviations.append(_logarithm(value) - median(self.values))
        self.values.append(_logarithm(value))


def _logarithm(value: float) -> float:
    return math.log(max(value, 1e-12))
