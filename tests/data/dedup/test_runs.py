"""Runs are what the plain definitions say."""

from itertools import chain, groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.data.dedup.runs import distinct, ranges, run_starts

VALUES = st.lists(st.integers(0, 4), max_size=20).map(lambda values: np.array(values, np.uint64))


@given(VALUES)
def test_runs_and_different_values(values):
    lengths = [len(list(run)) for _, run in groupby(values.tolist())]
    assert run_starts(values).tolist() == np.cumsum([0, *lengths])[:-1].tolist()
    assert distinct(values).tolist() == sorted(set(values.tolist()))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=8))
def test_ranges(pairs):
    firsts, counts = np.array(pairs, np.int64).reshape(-1, 2).T
    assert ranges(firsts, counts).tolist() == list(chain(*(range(first, first + count) for first, count in pairs)))
