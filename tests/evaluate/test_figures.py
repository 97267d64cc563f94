"""Figures from answers: golden intervals, the unbiased pass@k, categories."""

from itertools import combinations
from statistics import fmean

import pytest

from baichuan_jax.evaluate.harness.categories import CEVAL, categories
from baichuan_jax.evaluate.harness.humaneval import pass_at_k
from baichuan_jax.evaluate.harness.scores import Figure, chance, over_subjects, together, wilson


@pytest.mark.parametrize(
    ("mean", "count", "low", "high"),
    [(0.0, 10, 0.0, 0.2775), (1.0, 10, 0.7225, 1.0), (0.5, 100, 0.4038, 0.5962), (0.25, 1346, 0.2276, 0.2738)],
)
def test_wilson(mean, count, low, high):
    assert wilson(mean, count) == pytest.approx((low, high), abs=1e-4)


def test_standard_error_and_means():
    one, two = Figure((1.0, 0.0, 1.0, 1.0), (0.25,) * 4), Figure((0.0,), (0.5,))
    assert one.summary()["stderr"] == pytest.approx(0.25)  # sqrt(.75 * .25 * 4 / 3 / 4)
    assert two.summary()["stderr"] == 0
    assert together([one, two]).summary()["mean"] == pytest.approx(0.6)
    assert over_subjects([one, two])["mean"] == pytest.approx(0.375)
    assert over_subjects([one, two])["stderr"] == pytest.approx(0.125)
    assert over_subjects([one, two])["chance"] == pytest.approx(0.375)


@pytest.mark.parametrize(("samples", "correct", "k"), [(5, 2, 1), (5, 2, 3), (6, 0, 2), (6, 6, 6), (7, 1, 5)])
def test_pass_at_k_is_the_mean_over_all_choices_of_k(samples, correct, k):
    programs = [True] * correct + [False] * (samples - correct)
    assert pass_at_k(samples, correct, k) == pytest.approx(fmean(any(part) for part in combinations(programs, k)))


def test_chance_of_several_right_answers():
    assert chance({"doc": {"gold": [0, 2]}, "filtered_resps": [(0.0, False)] * 4}) == 0.5
    assert chance({"doc": {"answer": "B"}, "filtered_resps": [(0.0, False)] * 5}) == 0.2
    assert chance({"doc": {"answer": "12"}, "filtered_resps": ["12"]}) == 0


def test_ceval_has_52_subjects_in_four_categories():
    subjects = [subject for name in CEVAL if name != "hard" for subject in CEVAL[name].split()]
    assert len(subjects) == len(set(subjects)) == 52
    assert set(CEVAL["hard"].split()) < set(CEVAL["stem"].split())
    found = categories("ceval-valid", [f"ceval-valid_{subject}" for subject in subjects], {})
    assert {name: len(parts) for name, parts in found.items()} == {
        "stem": 20,
        "social sciences": 10,
        "humanities": 11,
        "other": 11,
        "hard": 8,
    }


def test_categories_of_groups_within_groups():
    members = {"mmlu": ["mmlu_stem", "mmlu_other"], "mmlu_stem": ["a", "b"], "mmlu_other": ["c"]}
    assert categories("mmlu", ["a", "b", "c"], members) == {"mmlu_stem": ["a", "b"], "mmlu_other": ["c"]}
