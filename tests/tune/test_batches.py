"""Batches of conversations: packed as unpacked, seeking, hosts, epochs, held-out ones."""

from collections import Counter
from dataclasses import replace
from operator import itemgetter

import jax
import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.train.input import abstract_batch
from baichuan_jax.tune.batches import SampleBatches, SampleRows, held_out_batches
from tests.tune.making import prepared, random_talk, samples_of, write_lines

LENGTH, BATCH = 160, 4


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Two sources, of 40 and 15 conversations of one or two turns; about a fifth are held out."""
    directory, rng, sources = tmp_path_factory.mktemp("chats"), np.random.default_rng(0), {}
    for name, count in {"a": 40, "b": 15}.items():
        records = [random_talk(rng, int(rng.integers(1, 3)), 20) for _ in range(count)]
        sources[name] = str(write_lines(directory / f"{name}.jsonl", records))
    return prepared(directory, LENGTH, sources=sources, held_out=0.2).samples


def rows_of(batches):
    """Return the rows of batches."""
    fields = ("tokens", "targets", "weights", "segments", "positions")
    return [
        type("Row", (), {name: getattr(batch, name)[row] for name in fields})
        for batch in batches
        for row in range(len(batch.tokens))
    ]


def expected(samples, held_out: bool) -> list[tuple]:
    """Return what samples train on, from their ids and masks."""
    found = []
    for (ids, mask), held in zip(samples, samples.held_out):
        if held == held_out:
            parts = (ids[:-1], ids[1:], mask[1:].astype(np.float32), np.arange(len(ids) - 1))
            found.append(tuple(tuple(part.tolist()) for part in parts))
    return sorted(found)


@pytest.mark.parametrize("packing", [True, False])
def test_an_epoch_has_every_sample_once(samples, packing):
    batches = SampleBatches(samples, 1, LENGTH, 0, packing=packing)
    steps = round(batches.epoch)
    for epoch in (0, 2):
        rows = rows_of(batches[epoch * steps + step] for step in range(steps))
        assert samples_of(rows) == expected(samples, held_out=False)
    trained = sum(mask[1:].sum() for (_, mask), held in zip(samples, samples.held_out) if not held)
    assert sum(row.weights.sum() for row in rows) == trained


def test_packing_leaves_little_padding(samples):
    packed, unpacked = (SampleBatches(samples, BATCH, LENGTH, 0, packing=packing) for packing in (True, False))
    assert packed.epoch < 0.75 * unpacked.epoch
    [note] = packed.notes()
    assert note.endswith(f"an epoch is {packed.epoch:.1f} steps")
    segments = np.concatenate([packed[step].segments for step in range(round(packed.epoch))])
    assert f" {np.mean(segments == 0):.0%}"[:2] in note


def test_a_batch_is_what_the_program_expects(samples):
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), abstract_batch(BATCH, LENGTH, packing=True))
    for packing in (True, False):
        batch = SampleBatches(samples, BATCH, LENGTH, 0, packing=packing)[3]
        assert jax.tree.map(lambda x: (x.shape, x.dtype), batch) == shapes
        padding = batch.segments == 0
        assert not batch.weights[padding].any()
        assert not batch.tokens[padding].any()
        assert padding.any()


def test_a_sequence_is_of_one_source(samples):
    batches = SampleBatches(samples, BATCH, LENGTH, 0)
    texts = {name: set() for name in "ab"}
    for number, sample in enumerate(samples):
        texts[samples.names[samples.sources[number]]].add(tuple(sample.ids_T[:-1].tolist()))
    for step in range(6):
        batch = batches[step]
        for row, domain in enumerate(batch.domains):
            for segment in range(1, batch.segments[row].max() + 1):
                ids = tuple(batch.tokens[row][batch.segments[row] == segment].tolist())
                assert ids in texts[batches.domains[domain]]


def same(one, other) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, one, other)))


def test_steps_are_a_function_of_seed_and_step(samples):
    one, other = (SampleBatches(samples, BATCH, LENGTH, 3) for _ in range(2))
    forward = [one[step] for step in range(12)]
    assert all(same(other[step], forward[step]) for step in reversed(range(12)))
    assert not same(SampleBatches(samples, BATCH, LENGTH, 4)[0], forward[0])
    steps = round(SampleBatches(samples, 1, LENGTH, 3).epoch)
    epochs = SampleBatches(samples, 1, LENGTH, 3)
    assert [not same(epochs[step], epochs[steps + step]) for step in range(steps)].count(True) > steps / 2


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_read_one_global_batch(samples, hosts):
    whole = SampleBatches(samples, BATCH, LENGTH, 0)
    for host in range(hosts):
        part = SampleBatches(samples, BATCH, LENGTH, 0, rows=range(host, BATCH, hosts))
        own = itemgetter(slice(host, None, hosts))
        for step in (0, 7):
            assert same(part[step], jax.tree.map(own, whole[step]))


def test_rejected_batches_are_left_out(samples):
    whole, without = (SampleBatches(samples, BATCH, LENGTH, 0) for _ in range(2))
    without.reject([4, 2])
    assert [without.draw(step) for step in range(5)] == [0, 1, 3, 5, 6]
    assert all(same(without[step], whole[draw]) for step, draw in enumerate([0, 1, 3, 5, 6]))


def test_weights_are_shares_of_tokens(samples):
    batches = SampleBatches(samples, BATCH, LENGTH, 0, weights={"a": 1.0, "b": 3.0})
    tokens = Counter()
    for batch in map(batches.__getitem__, range(80)):
        for domain, segments in zip(batch.domains.tolist(), batch.segments):
            tokens[domain] += int((segments > 0).sum())
    assert tokens[1] / tokens.total() == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("packing", [True, False])
def test_held_out_samples_come_exactly_once(samples, packing):
    batches = list(held_out_batches(samples, BATCH, LENGTH, packing=packing))
    assert samples_of(rows_of(batches)) == expected(samples, held_out=True)
    assert {batch.tokens.shape for batch in batches} == {(BATCH, LENGTH)}
    again = held_out_batches(samples, BATCH, LENGTH, packing=packing, rows=[1, 3])
    assert all(same(jax.tree.map(lambda x: x[1::2], one), other) for one, other in zip(batches, again, strict=True))
    held = sum(samples.held_out)
    assert len(batches) == -(-held // BATCH) if not packing else len(batches) < -(-held // BATCH)
    by_source = np.zeros(2)
    for batch in batches:
        np.add.at(by_source, batch.domains, batch.weights.sum(1))
    responses = [samples.responses()[samples.held_out & (samples.sources == source)].sum() for source in range(2)]
    assert by_source.tolist() == responses


def test_rows_name_their_samples(samples):
    numbers = np.flatnonzero(samples.sources == 1)
    rows = SampleRows(samples, numbers, LENGTH, packing=True)
    assert sorted(number for row in range(len(rows)) for number in rows.numbers(row)) == numbers.tolist()


def test_nothing_to_train_on_is_an_error(samples):
    with pytest.raises(UserError, match=r"every conversation is held out: lower InstructionConfig.held_out"):
        SampleBatches(replace(samples, held_out=np.ones(len(samples), bool)), BATCH, LENGTH, 0)
    assert list(held_out_batches(replace(samples, held_out=np.zeros(len(samples), bool)), BATCH, LENGTH)) == []
