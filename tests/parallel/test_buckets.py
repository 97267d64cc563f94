from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.parallel.buckets import Link, combine, finished, plan_buckets

LINKS = {"inside a host": Link(2e-5, 1e-6, 450e9), "between hosts": Link(2e-5, 5e-6, 50e9)}
LAYER = [90_177_536] * 3 + [33_554_432] * 4  # of Baichuan-7B, in bfloat16


def partitions(sizes: list[int]):
    """Every way to cut the sizes into messages."""
    for cuts in product([False, True], repeat=len(sizes) - 1):
        buckets = [[sizes[0]]]
        for size, cut in zip(sizes[1:], cuts):
            if cut:
                buckets.append([size])
            else:
                buckets[-1].append(size)
        yield buckets


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("compute", [1e-4, 3e-3, 1e-1])
@pytest.mark.parametrize("shards", [2**power for power in range(3, 13)])
def test_a_threshold_is_within_5_percent_of_the_best_cut(shards, compute, link):
    best = min(finished(buckets, compute, shards, link) for buckets in partitions(LAYER))
    planned = compute + plan_buckets(LAYER, compute, shards, link).exposed
    assert best * (1 - 1e-9) <= planned <= 1.05 * best


@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=9), st.floats(1e-5, 1.0), st.sampled_from([8, 64, 512, 4096])
)
def test_no_threshold_is_better(sizes, compute, shards):
    link = LINKS["between hosts"]
    planned = compute + plan_buckets(sizes, compute, shards, link).exposed
    for threshold in range(0, sum(sizes) + 1, max(1, sum(sizes) // 17)):
        assert planned <= finished(combine(sizes, threshold), compute, shards, link) * (1 + 1e-9)


def test_more_cards_make_larger_messages():
    counts = [plan_buckets(LAYER, 3e-3, shards, LINKS["between hosts"]).messages for shards in (8, 256, 4096)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_neighbours_are_joined_from_the_last_on_while_they_fit():
    assert combine([3, 5, 3, 20, 1], 8) == [[3], [5, 3], [20], [1]]
