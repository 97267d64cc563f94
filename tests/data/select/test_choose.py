"""The best documents come first, whatever the order they are given in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.data.select.choose import quality_order, within_cap

ROWS = st.lists(
    st.tuples(st.sampled_from([-1.0, 0.2, 0.21, 0.6, 0.9]), st.integers(1, 9), st.integers(0, 2**64 - 1)),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[2],
)


def columns(rows):
    score, size, key = zip(*rows)
    return np.array(score, np.float32), np.array(size, np.uint32), np.array(key, np.uint64)


@given(ROWS, st.randoms())
def test_the_rank_is_a_property_of_the_document(rows, rng):
    shuffled = rng.sample(rows, len(rows))
    rank = dict(zip(rows, quality_order(*columns(rows)).tolist()))
    assert rank == dict(zip(shuffled, quality_order(*columns(shuffled)).tolist()))
    assert sorted(rank.values()) == list(range(len(rows)))
    first = min(rank, key=rank.get)
    assert first[0] >= max(row[0] for row in rows) - 0.05
    assert first[1] == max(row[1] for row in rows if abs(row[0] - first[0]) < 0.05)


@given(ROWS, st.integers(0, 60), st.randoms())
def test_a_cap_is_kept_and_spent_on_the_best(rows, most, rng):
    shuffled = rng.sample(rows, len(rows))
    fits = dict(zip(rows, within_cap(*columns(rows), most).tolist()))
    assert fits == dict(zip(shuffled, within_cap(*columns(shuffled), most).tolist()))
    inside, outside = ([row for row in rows if fits[row] is side] for side in (True, False))
    assert sum(row[1] for row in inside) <= most
    assert not outside or sum(row[1] for row in inside) + max(row[1] for row in outside) > most
    assert not inside or not outside or min(row[0] for row in inside) >= max(row[0] for row in outside) - 0.05
