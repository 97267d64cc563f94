"""Data order is a pure function of (seed, step), with exact shares under any schedule, and whole epochs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.mixing import RAMP_SECTIONS, Change, MixtureSampler
from baichuan_jax.data.permutation import permute

WEIGHTS = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), min_size=6, max_size=6).filter(any)
GAPS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30), WEIGHTS), max_size=8)


def named(weights):
    return {f"d{k}": weight for k, weight in enumerate(weights)}


def sampler(weights, size=50, seed=0, batch=16, changes=(), **options):
    changes = [Change(step, named(each), ramp) for step, each, ramp in changes]
    return MixtureSampler(named(weights), dict.fromkeys(named(weights), size), seed, batch, changes, **options)


def shares_of_steps(weights, changes, steps):
    """Return the share of every domain in each step, [steps, domains], computed step by step."""
    points = [(0, np.array(weights) / sum(weights))]
    for step, each, ramp in changes:
        points += [(step, points[-1][1]), (step + ramp, np.array(each) / sum(each))]
    at = np.array([step for step, _ in points])
    rows = []
    for step in range(steps):
        right = np.searchsorted(at, step, side="right")
        (first, before), (last, after) = points[right - 1], points[min(right, len(points) - 1)]
        done = (step + 0.5 - first) / (last - first) if last > first else 0.0
        rows.append(before + done * (after - before))
    return np.array(rows)


@settings(max_examples=30, deadline=None)
@given(WEIGHTS, GAPS, st.integers(1, 40))
def test_shares_are_exact_after_every_batch_under_any_schedule(weights, gaps, batch):
    changes, step = [], 0
    for ramp, gap, each in gaps:
        step += gap
        changes.append((step, each, ramp))
        step += ramp
    draws = sampler(weights, batch=batch, changes=changes)
    expected = batch * np.cumsum(shares_of_steps(weights, changes, step + 20), axis=0)
    counts = np.array([draws.counts(batch * done) for done in range(step + 21)])
    assert (counts.sum(axis=1) == batch * np.arange(step + 21)).all()
    assert (np.diff(counts, axis=0) >= 0).all()
    assert np.abs(counts[1:] - expected).max() <= 1 + math.log(len(weights)) / 2 + 1e-6


@settings(max_examples=50, deadline=None)
@given(WEIGHTS, st.integers(0, 10**12))
def test_shares_are_exact_however_far(weights, draw):
    counts = sampler(weights).counts(draw)
    bound = 1 + math.log(len(weights)) / 2 + 1e-8 * draw  # the last: rounding of the weights to 2^-48
    assert sum(counts) == draw
    for count, weight in zip(counts, weights):
        assert abs(count - draw * weight / sum(weights)) <= bound


def test_a_long_ramp_is_a_staircase():
    steps = 10 * RAMP_SECTIONS
    draws = sampler([1.0, 0.0], changes=[(0, [0.0, 1.0], steps)], batch=8)
    for done in (0.25, 0.5, 1.0):
        assert draws.counts(int(8 * done * steps))[1] == pytest.approx(8 * steps * done**2 / 2, abs=1.5)


def test_a_change_ends_a_ramp_that_is_under_way():
    draws = sampler([1.0, 0.0], changes=[(0, [0.0, 1.0], 100), (50, [1.0, 0.0], 0)])
    assert draws.counts(16 * 50)[1] == pytest.approx(16 * 50 * 0.25, abs=1.5)
    assert draws.counts(16 * 200)[1] - draws.counts(16 * 50)[1] <= 1


def test_a_change_touches_the_batches_after_it_alone():
    plain = sampler([1.0, 2.0, 1.0], size=1000)
    changed = sampler([1.0, 2.0, 1.0], size=1000, changes=[(7, [5.0, 1.0, 0.0], 4)])
    same = [all(map(np.array_equal, plain[step], changed[step])) for step in range(40)]
    assert all(same[:7])
    assert not any(same[7:])


@settings(max_examples=20, deadline=None)
@given(WEIGHTS, st.integers(1, 700), st.integers(0, 2**63))
def test_every_window_comes_once_per_epoch_in_a_new_order(weights, size, seed):
    draws = sampler(weights, size, seed, batch=64, changes=[(11, weights[::-1], 5)])
    domains, windows = map(np.concatenate, zip(*(draws[step] for step in range(40))))
    for domain in np.unique(domains):
        seen = windows[domains == domain]
        visits = np.bincount(seen, minlength=size)
        assert visits.max() - visits.min() <= 1
    whole = sampler([1.0], size, seed, batch=size)
    epochs = [whole[step][1].tolist() for step in range(3)]
    assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
    assert size <= 20 or epochs[0] != epochs[1]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(0, 100))
def test_the_order_of_access_does_not_matter(steps, seed):
    schedule = {"changes": [(20, [0.0, 1.0, 1.0], 10)], "seed": seed, "max_epochs": 3.0}
    forward = sampler([1.0, 3.0, 0.01], 200, **schedule)
    expected = [forward[step] for step in range(51)]
    jumping = sampler([1.0, 3.0, 0.01], 200, **schedule)
    for step in steps:
        assert all(map(np.array_equal, jumping[step], expected[step]))


@settings(max_examples=40, deadline=None)
@given(WEIGHTS, st.floats(0.5, 5.0), st.integers(3, 400), st.integers(1, 30))
def test_no_domain_is_read_more_often_than_allowed(weights, max_epochs, size, batch):
    draws = sampler(weights, size, batch=batch, changes=[(9, weights[::-1], 3)], max_epochs=max_epochs)
    limit = int(max_epochs * size)
    if draws.length is None:  # a domain that the last weights leave out has text left, and so has one of them
        return
    counts = draws.counts(draws.length)
    assert max(counts) <= limit
    assert {name for draw, name in draws.capped} == {f"d{k}" for k, count in enumerate(counts) if count == limit}
    for draw, name in draws.capped:
        domain = int(name[1:])
        assert (draws.counts(draw)[domain], draws.counts(draw - 1)[domain]) == (limit, limit - 1)
    with pytest.raises(IndexError, match="max_epochs"):
        draws[draws.length // batch + 1]


def test_the_share_of_a_capped_domain_goes_to_the_others_in_proportion():
    draws = sampler([2.0, 1.0, 1.0], size=100, max_epochs=1.0)
    assert draws.capped[0] == (199, "d0")
    assert np.subtract(draws.counts(279), draws.counts(199)).tolist() == [0, 40, 40]


def test_golden_draws():
    draws = MixtureSampler({"zh": 2.0, "en": 1.0}, {"zh": 1000, "en": 10}, seed=7, batch=6)
    golden = {
        0: ([1, 0, 0, 1, 0, 0], [2, 407, 108, 4, 646, 238]),
        10**12: ([0, 0, 1, 1, 0, 0], [464, 142, 4, 7, 265, 374]),
    }
    for step, expected in golden.items():
        assert tuple(each.tolist() for each in draws[step]) == expected


def test_no_microbatch_has_a_domain_for_itself():
    draws = sampler([1.0, 1.0], batch=64)
    halves = np.array([draws[step][0].reshape(2, 32).mean(axis=1) for step in range(50)])
    assert 0.05 < halves.std() < 0.15  # of drawing 32 of 64 at random: 0.063
    assert abs(halves.mean(axis=0) - 0.5).max() < 0.03


def test_seed_and_scale():
    one, other, scaled = sampler([1.0, 1.0], seed=1), sampler([1.0, 1.0], seed=2), sampler([8.0, 8.0], seed=1)
    assert not np.array_equal(one[3], other[3])
    assert np.array_equal(one[3], scaled[3])


def test_a_weight_of_zero_is_never_drawn():
    draws = MixtureSampler({"a": 0.0, "b": 1.0, "c": 0.0}, {"a": 5, "b": 5, "c": 0, "unlisted": 3}, 0, 64)
    assert set(draws[3][0].tolist()) == {1}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"x": 1.0}, "'x': no such domain; the corpus has a, empty"),
        ({"a": -1.0}, "expected a number >= 0"),
        ({"a": float("nan")}, "expected a number >= 0"),
        ({"a": 0.0}, "at least one above 0"),
        ({}, "at least one above 0"),
        ({"a": 1.0, "empty": 1.0}, "'empty': the domain has no whole window"),
    ],
)
def test_bad_weights(weights, message):
    sizes = {"a": 5, "empty": 0}
    with pytest.raises(UserError, match=message):
        MixtureSampler(weights, sizes, 0, 8)
    with pytest.raises(UserError, match=message):
        MixtureSampler({"a": 1.0}, sizes, 0, 8, [Change(3, weights)])


def test_the_sequence_starts_at_zero():
    with pytest.raises(IndexError):
        sampler([1.0])[-1]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 2**64 - 1))
def test_permute_is_a_permutation(size, key):
    result = permute(np.arange(size), np.full(size, key, np.uint64), np.full(size, size))
    assert np.array_equal(np.sort(result), np.arange(size))


def test_permute_scatters_neighbours():
    """Each element lands anywhere: means over many keys lie near the middle, and neighbours are not neighbours."""
    size, keys = 1000, np.arange(2000, dtype=np.uint64)
    first = permute(np.zeros(2000, np.int64), keys, np.full(2000, size))
    second = permute(np.ones(2000, np.int64), keys, np.full(2000, size))
    assert abs(first.mean() / size - 0.5) < 0.03
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    assert (np.abs(first - second) == 1).mean() < 0.02
