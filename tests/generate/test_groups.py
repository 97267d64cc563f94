"""Prompts that are run together."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.generate.groups import DISPATCH, groups

LENGTHS = st.lists(st.sampled_from([32, 64, 128, 1024]), min_size=1, max_size=8).map(sorted)
COUNTS = st.sampled_from([(1, 4, 16), (1, 4, 7), (4,), (8,)])


def cost(lengths, counts, stops):
    """Of the cut at these ends, with the fewest rows for each group; None where one has too many prompts."""
    total = 0
    for start, end in zip([0, *stops], stops):
        rows = min((count for count in counts if count >= end - start), default=None)
        if rows is None:
            return None
        total += rows * lengths[end - 1] + DISPATCH
    return total


@given(LENGTHS, COUNTS)
def test_no_other_cut_is_cheaper(lengths, counts):
    found = groups(lengths, counts)
    assert [start for start, _, _ in found] == [0, *(end for _, end, _ in found[:-1])]
    assert found[-1][1] == len(lengths)
    assert all(end - start <= count and count in counts for start, end, count in found)
    inner = range(1, len(lengths))
    cuts = [[*stops, len(lengths)] for size in range(len(lengths)) for stops in combinations(inner, size)]
    costs = [cost(lengths, counts, stops) for stops in cuts]
    assert sum(count * lengths[end - 1] + DISPATCH for _, end, count in found) == min(c for c in costs if c is not None)


def test_short_prompts_do_not_wait_for_long_ones():
    assert groups([32] * 16 + [64] * 16, (1, 4, 16, 32)) == [(0, 16, 16), (16, 32, 16)]
    assert groups([32] * 3 + [1024], (1, 4, 16)) == [(0, 3, 4), (3, 4, 1)]
    assert groups([32, 32, 64], (1, 4, 16)) == [(0, 3, 4)]
