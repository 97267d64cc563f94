"""Packed documents: every id but the first of a document is predicted once, from its own document alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.tokenizer.packing import PackedDocuments, pack
from baichuan_jax.tokenizer.shards import TokenStore, describe_shard, shard_path, write_index, write_shard


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(1, n), max_size=200))))
def test_pack_fills_rows_as_best_fit_decreasing_does(case):
    capacity, sizes = case
    rows = pack(np.array(sizes, np.int32), capacity)
    room: list[int] = []
    for size in sorted(sizes, reverse=True):
        fitting = [left for left in room if left >= size]
        if fitting:
            room[room.index(min(fitting))] -= size
        else:
            room.append(capacity - size)
    filled = np.bincount(rows, sizes, minlength=len(room)) if sizes else np.zeros(0)
    assert sorted(capacity - filled) == sorted(room)


def packed(directory, shards, length):
    """Return PackedDocuments over shards: lists of documents, which are arrays of ids."""
    entries = []
    for number, documents in enumerate(shards):
        path = shard_path(directory, "a", "train", number)
        path.parent.mkdir(exist_ok=True)
        write_shard(path, documents, np.dtype("<u2"))
        entries.append(describe_shard(path, np.dtype("<u2")))
    write_index(directory, 1000, {"a": {"train": entries}})
    return PackedDocuments(TokenStore(directory), "a", "train", length)


@pytest.mark.parametrize("length", [1, 7, 16, 100])
def test_every_id_but_the_first_is_predicted_once(tmp_path, length):
    rng = np.random.default_rng(length)
    sizes = [[rng.integers(1, 40) for _ in range(30)], [], [1, 1, 50]]
    numbers = iter(range(10_000))
    shards = [[np.array([next(numbers) for _ in range(size)], "<u2") for size in each] for each in sizes]
    rows = packed(tmp_path, shards, length)
    found = []
    for row in (rows[number] for number in range(len(rows))):
        used = row.weights > 0
        assert (used == (row.segments > 0)).all()
        assert not (row.tokens[~used] | row.targets[~used]).any()
        assert (row.targets[used] == row.tokens[used] + 1).all()  # of the same document, the id after it
        for segment in range(1, row.segments.max() + 1):
            inside = row.segments == segment
            assert row.positions[inside].tolist() == list(range(inside.sum()))
            assert (np.diff(row.tokens[inside]) == 1).all()
        found += row.targets[used].tolist()
    expected = [id for each in shards for document in each for id in document[1:].tolist()]
    assert sorted(found) == expected
    assert rows.tokens == len(expected)


def test_a_domain_without_text_has_no_rows(tmp_path):
    assert len(packed(tmp_path, [[], [np.array([5], "<u2")]], 8)) == 0
