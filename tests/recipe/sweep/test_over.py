"""Points from texts: order, draws, pairs, mistakes."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.recipe.sweep.config import SweepConfig
from baichuan_jax.recipe.sweep.over import apart_from_seed, points_of

RATES, SEEDS = "OptimConfig.peak_lr=[1e-3, 2e-3]", "TrainConfig.seed=range(3)"


def test_every_combination_with_every_seed_seeds_together():
    points = points_of(SweepConfig(over=(SEEDS, RATES, "VOCAB=(300, 400)")))
    assert [tuple(point.values()) for point in points[:4]] == [
        (1e-3, 300, 0),
        (1e-3, 300, 1),
        (1e-3, 300, 2),
        (1e-3, 400, 0),
    ]
    assert len(points) == 12
    assert apart_from_seed(points[0]) == {"OptimConfig.peak_lr": 1e-3, "VOCAB": 300}


def test_pairs_with_every_seed():
    points = points_of(SweepConfig(over=(RATES, SEEDS, "OptimConfig.warmup_steps=[2, 4]"), zip=True))
    assert [tuple(point.values()) for point in points] == [
        *((1e-3, 2, seed) for seed in range(3)),
        *((2e-3, 4, seed) for seed in range(3)),
    ]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(1, 40), st.integers(1, 40))
def test_draws_differ_are_combinations_and_fewer_are_the_first_of_more(lengths, few, more):
    few, more = sorted((few, more))
    over = (SEEDS, *(f"S.f{place}=range({length})" for place, length in enumerate(lengths)))
    every = points_of(SweepConfig(over=over))
    fewer, drawn = (points_of(SweepConfig(over=over, random=count)) for count in (few, more))
    assert len(drawn) == 3 * min(more, prod(lengths))
    assert all(point in every for point in drawn)
    assert all(drawn.count(point) == 1 for point in drawn)
    if more < prod(lengths):
        assert drawn[: len(fewer)] == fewer
    assert [point["TrainConfig.seed"] for point in drawn[:3]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("over", "settings", "message"),
    [
        ((), {}, "a sweep needs settings to vary"),
        (("TrainConfig.seed",), {}, "expected NAME.FIELD=VALUES"),
        (("TrainConfig.seed=3",), {}, "expected a list of values"),
        (("TrainConfig.seed=[]",), {}, "there is no value in it"),
        (("TrainConfig.seed=range(0)",), {}, "there is no value in it"),
        (("TrainConfig.seed=[1, 1]",), {}, "a value is there twice"),
        (("TrainConfig.seed=[1", ""), {}, "expected a list of values"),
        (("TrainConfig.seed=list(3)",), {}, "expected a list of values"),
        (("OptimConfig.schedule=[cosine, wsd]",), {}, "strings need quotes"),
        ((SEEDS, SEEDS), {}, "TrainConfig.seed is varied twice"),
        ((RATES, "A.b=[1, 2, 3]"), {"zip": True}, r"OptimConfig.peak_lr: 2, A.b: 3"),
    ],
)
def test_mistakes(over, settings, message):
    with pytest.raises(UserError, match=message):
        points_of(SweepConfig(over=over, **settings))
