"""Figures from answers: golden intervals, the unbiased pass@k, categories."""

import re
from itertools import combinations
from pathlib import Path
from statistics import fmean

import pytest

from baichuan_jax.evaluate.harness.categories import TABLES, categories
from baichuan_jax.evaluate.harness.humaneval import pass_at_k
from baichuan_jax.evaluate.harness.scores import Figure, chance, over_subjects, pooled, wilson


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
    assert pooled([one, two]).summary()["mean"] == pytest.approx(0.6)
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


@pytest.mark.parametrize(
    ("name", "sizes", "part"),
    [
        ("ceval-valid", {"stem": 20, "social sciences": 10, "humanities": 11, "other": 11, "hard": 8}, {"stem"}),
        (
            "cmmlu",
            {"stem": 17, "humanities": 13, "social sciences": 22, "other": 15, "China specific": 15},
            {"humanities", "social sciences", "other"},
        ),
        ("baichuan_mmlu", {"stem": 18, "humanities": 13, "social sciences": 12, "other": 14}, set()),
    ],
)
def test_subjects_in_categories_as_their_authors_count_them(name, sizes, part):
    """part: the categories that the last one is taken from, where it is no category of its own."""
    four = list(TABLES[name].values())[:4]
    subjects = [subject for parts in four for subject in parts.split()]
    assert len(subjects) == len(set(subjects))
    found = categories(name, [f"{name}_{subject}" for subject in subjects], {})
    assert {category: len(parts) for category, parts in found.items()} == sizes
    if part:
        last = set(list(found.values())[4])
        assert last < {subject for category in part for subject in found[category]}


@pytest.mark.parametrize(
    ("name", "folder"), [("ceval-valid", "ceval"), ("cmmlu", "cmmlu"), ("baichuan_mmlu", "mmlu/default")]
)
def test_every_subject_of_lm_eval_has_its_category(name, folder):
    tasks = Path(pytest.importorskip("lm_eval.tasks").__file__).parent / folder
    known = {subject for parts in TABLES[name].values() for subject in parts.split()}
    files = [file.stem for file in tasks.glob("*.yaml") if "dataset_name" in file.read_text(encoding="utf-8")]
    assert {re.sub("^(ceval-valid|cmmlu|mmlu)_", "", stem) for stem in files} == known


def test_a_subject_is_known_by_its_whole_name():
    """ "management" is the end of another subject's name, which is in another category."""
    found = categories("cmmlu", ["cmmlu_management", "cmmlu_construction_project_management"], {})
    assert found["social sciences"] == ["cmmlu_management"]


def test_categories_of_groups_within_groups():
    members = {"mmlu": ["mmlu_stem", "mmlu_other"], "mmlu_stem": ["a", "b"], "mmlu_other": ["c"]}
    assert categories("mmlu", ["a", "b", "c"], members) == {"mmlu_stem": ["a", "b"], "mmlu_other": ["c"]}
