"""Data order is a pure function of (seed, index), with exact shares and whole epochs."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.mixing import BLOCK, MixtureSampler
from baichuan_jax.data.permutation import permute

WEIGHTS = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=6)


def sampler(weights, size=50, seed=0):
    names = [f"d{k}" for k in range(len(weights))]
    return MixtureSampler(dict(zip(names, weights)), dict.fromkeys(names, size), seed)


@settings(max_examples=50, deadline=None)
@given(WEIGHTS, st.integers(0, 10**9))
def test_shares_are_exact_at_every_block_however_far(weights, block):
    draws = sampler(weights)
    counts, later = (dict(zip(draws.domains, draws._counts(n * BLOCK))) for n in (block, block + 1))
    assert sum(counts.values()) == block * BLOCK
    bound = 1 + math.log(len(weights)) / 2 + 1e-5 * (block + 1)  # the last: rounding of the weights to 2^-48
    for k, weight in enumerate(weights):
        assert abs(counts[f"d{k}"] - block * BLOCK * weight / sum(weights)) <= bound
        assert later[f"d{k}"] >= counts[f"d{k}"]


@settings(max_examples=20, deadline=None)
@given(WEIGHTS, st.integers(1, 700), st.integers(0, 2**63))
def test_every_window_comes_once_per_epoch_in_a_new_order(weights, size, seed):
    draws = sampler(weights, size, seed)
    seen = {domain: [] for domain in draws.domains}
    for index in range(3 * BLOCK):
        domain, window = draws[index]
        seen[domain].append(window)
    for windows in seen.values():
        epochs = [windows[start : start + size] for start in range(0, len(windows) - size + 1, size)]
        assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
        assert len(set(windows[len(epochs) * size :])) == len(windows) % size
        if size > 20 and len(epochs) > 1:
            assert epochs[0] != epochs[1]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5 * BLOCK), min_size=1, max_size=30), st.integers(0, 100))
def test_the_order_of_access_does_not_matter(indices, seed):
    weights = [1.0, 3.0, 0.01]
    forward = sampler(weights, seed=seed)
    expected = [forward[index] for index in range(5 * BLOCK + 1)]
    jumping = sampler(weights, seed=seed)
    assert [jumping[index] for index in indices] == [expected[index] for index in indices]


def test_golden_draws():
    draws = MixtureSampler({"zh": 2.0, "en": 1.0}, {"zh": 1000, "en": 10}, seed=7)
    golden = [("zh", 108), ("zh", 238), ("zh", 646), ("zh", 236), ("zh", 340)]
    assert [draws[index] for index in (0, 1, 2, BLOCK, 10**12)] == golden


def test_shares_are_near_right_inside_a_block_too():
    draws = sampler([3.0, 1.0])
    for start in range(0, 4 * BLOCK, 256):
        assert 40 <= Counter(draws[index][0] for index in range(start, start + 256))["d1"] <= 90


def test_seed_and_scale():
    one, other = sampler([1.0, 1.0], seed=1), sampler([1.0, 1.0], seed=2)
    assert [one[i] for i in range(100)] != [other[i] for i in range(100)]
    scaled = sampler([8.0, 8.0], seed=1)
    assert [one[i] for i in range(100)] == [scaled[i] for i in range(100)]


def test_a_weight_of_zero_is_never_drawn():
    draws = MixtureSampler({"a": 0.0, "b": 1.0, "c": 0.0}, {"a": 5, "b": 5, "c": 0, "unlisted": 3}, 0)
    assert {draws[index][0] for index in range(2 * BLOCK)} == {"b"}


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
    with pytest.raises(UserError, match=message):
        MixtureSampler(weights, {"a": 5, "empty": 0}, 0)


def test_the_sequence_starts_at_zero():
    with pytest.raises(IndexError):
        sampler([1.0])[-1]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 2**64 - 1))
def test_permute_is_a_permutation(size, key):
    result = permute(np.arange(size), np.full(size, key, np.uint64), size)
    assert np.array_equal(np.sort(result), np.arange(size))


def test_permute_scatters_neighbours():
    """Each element lands anywhere: means over many keys lie near the middle, and neighbours are not neighbours."""
    size, keys = 1000, np.arange(2000, dtype=np.uint64)
    first = permute(np.zeros(2000, np.int64), keys, size)
    second = permute(np.ones(2000, np.int64), keys, size)
    assert abs(first.mean() / size - 0.5) < 0.03
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    assert (np.abs(first - second) == 1).mean() < 0.02
