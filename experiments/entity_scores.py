"""How well names were repaired: answers read as JSON, exact match, character errors, and intervals of these."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from baichuan_jax.lab.paired import LEVEL, Verdict
from experiments.entity_split import Case

RESAMPLES = 2000
SEPARATOR = "、"  # between names, where the characters of two lists of names are compared


class Interval(NamedTuple):
    """A ratio, and the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def bounds(self) -> str:
        """The interval as text."""
        return f"{self.low:.3f} to {self.high:.3f}"

    @property
    def verdict(self) -> Verdict:
        """What the interval of a difference says; more is better."""
        if self.low <= 0 <= self.high:
            return "cannot tell"
        return "better" if self.low > 0 else "worse"


class Score(NamedTuple):
    """Of one answer. exact: all names and no others, in order. errors: characters. altered: a name not in the text."""

    valid: bool
    exact: bool
    errors: int
    altered: bool


def read_names(answer: str) -> tuple[str, ...] | None:
    """Return the names of an answer, a JSON list of strings; None if it is something else."""
    try:
        found = json.loads(answer)
    except ValueError:
        return None
    return tuple(found) if isinstance(found, list) and all(isinstance(name, str) for name in found) else None


def write_names(names: Sequence[str]) -> str:
    """Return the answer with some names."""
    return json.dumps(list(names), ensure_ascii=False)


def score(case: Case, answer: str) -> Score:
    """Return the score of an answer. One that cannot be read counts as no names."""
    found = read_names(answer)
    names = found or ()
    errors = edit_distance(SEPARATOR.join(names), SEPARATOR.join(case.right))
    return Score(found is not None, names == case.right, errors, any(name not in case.text for name in names))


def size(case: Case) -> int:
    """Return the number of characters that `errors` of a case are counted over."""
    return len(SEPARATOR.join(case.right))


def edit_distance(one: str, other: str) -> int:
    """Return how many characters have to be inserted, deleted or replaced."""
    row = list(range(len(other) + 1))
    for number, a in enumerate(one, 1):
        before, row[0] = row[0], number
        for place, b in enumerate(other, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (a != b))
    return row[-1]


def ratio(counts_SN: np.ndarray, sizes_N: np.ndarray, groups_N: Sequence[Hashable]) -> Interval:
    """Return sum(counts) / sum(sizes), the mean over seeds, with a bootstrap over seeds and groups of cases.

    counts_SN: of every seed and case. groups_N: cases with the same names stand and fall together, so they are drawn
    together.
    """
    order = {group: number for number, group in enumerate(dict.fromkeys(groups_N))}
    place_N = [order[group] for group in groups_N]
    sums_SG, sizes_G = np.zeros((len(counts_SN), len(order))), np.zeros(len(order))
    np.add.at(sums_SG.T, place_N, np.asarray(counts_SN, float).T)
    np.add.at(sizes_G, place_N, sizes_N)
    rng, found = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        seeds = rng.integers(0, len(sums_SG), len(sums_SG))
        groups = rng.integers(0, len(order), len(order))
        found.append(sums_SG[seeds][:, groups].mean(axis=0).sum() / sizes_G[groups].sum())
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Interval(float(sums_SG.mean(axis=0).sum() / sizes_G.sum()), low, high)


class Scores:
    """Scores of the answers of a system to some cases, by seed and case."""

    def __init__(self, cases: Sequence[Case], answers_SN: Sequence[Sequence[str]]):
        scores = [[score(case, answer) for case, answer in zip(cases, answers)] for answers in answers_SN]
        self.valid, self.exact, self.errors, self.altered = np.array(scores, float).transpose(2, 0, 1)
        self._sizes = np.array([size(case) for case in cases])
        self._groups = [case.right for case in cases]

    def share(self, counts_SN: np.ndarray) -> Interval:
        """Return the share of the cases that are counted."""
        return ratio(counts_SN, np.ones(counts_SN.shape[1]), self._groups)

    def character_errors(self) -> Interval:
        """Return wrong characters for each right one."""
        return ratio(self.errors, self._sizes, self._groups)

    def gain(self, other: Scores) -> Interval:
        """Return by how much the share of exact answers is larger than another system's, case by case."""
        return self.share(self.exact - other.exact.mean(axis=0))
