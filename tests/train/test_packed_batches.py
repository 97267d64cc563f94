"""Packed documents train as each alone: batches, hosts, seeking, and gradients."""

from dataclasses import replace
from operator import itemgetter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.decoder import init_params, loss
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.tokenizer.shards import TokenStore, describe_shard, shard_path, write_index, write_shard
from baichuan_jax.train.config import MixConfig, TrainConfig
from baichuan_jax.train.input import Batches, abstract_batch, iterate
from tests.train.small import MODEL

CFG = TrainConfig(steps=40, batch=24, length=32)
MIX = MixConfig(
    {"a": 3.0, "b": 1.0}, changes=((10_000, {"a": 1.0, "b": 3.0}),), ramp=4_000, max_epochs=4.0, packing=True
)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """Two domains of documents of 1 to 60 ids, even ones in a and odd ones in b, some of one id."""
    directory, rng, shards = tmp_path_factory.mktemp("tokens"), np.random.default_rng(0), {}
    for parity, domain in enumerate("ab"):
        path = shard_path(directory, domain, "train", 0)
        path.parent.mkdir()
        sizes = rng.integers(1, 60, 400)
        write_shard(path, [(2 * rng.integers(0, 32, size) + parity).astype("<u2") for size in sizes], np.dtype("<u2"))
        shards[domain] = {"train": [describe_shard(path, np.dtype("<u2"))]}
    write_index(directory, 64, shards)
    return TokenStore(directory)


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_batch_is_what_the_program_expects(tokens):
    batch = Batches(CFG, MIX, tokens)[3]
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), abstract_batch(CFG.batch, CFG.length, packing=True))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), batch) == shapes
    np.testing.assert_array_equal(batch.tokens[:, 0] % 2, batch.domains)


@pytest.mark.parametrize("hosts", [1, 2, 3, 4, 8])
def test_hosts_read_one_global_batch(tokens, hosts):
    whole = Batches(CFG, MIX, tokens)
    parts = [Batches(CFG, MIX, tokens, range(host, CFG.batch, hosts)) for host in range(hosts)]
    for step in (0, 12, 13, 39):
        for host, part in enumerate(parts):
            own = itemgetter(slice(host, None, hosts))
            assert_same([part[step]], [jax.tree.map(own, whole[step])])


def test_the_loader_goes_on_where_its_state_says(tokens):
    loader = iterate(CFG, Batches(CFG, MIX, tokens))
    first = [next(loader) for _ in range(15)]
    resumed = iterate(CFG, Batches(CFG, MIX, tokens))
    resumed.set_state(loader.get_state())
    rest = list(resumed)
    assert_same(first + rest, [Batches(CFG, MIX, tokens)[step] for step in range(CFG.steps)])


def test_domains_have_their_shares_of_real_tokens(tokens):
    batches = Batches(replace(CFG, steps=400), replace(MIX, changes=(), max_epochs=0.0), tokens)
    real = np.zeros(2)
    for step in range(400):
        batch = batches[step]
        np.add.at(real, batch.domains, batch.weights.sum(axis=1))
    assert real[0] / real.sum() == pytest.approx(0.75, abs=1e-3)


def test_what_a_user_should_know_is_said(tokens):
    notes = list(Batches(CFG, MIX, tokens).notes())
    assert [note[:9] for note in notes] == ["packing: "]
    assert notes[0].endswith("of the positions are padding")
    capped = Batches(replace(CFG, steps=60), replace(MIX, max_epochs=2.0), tokens)
    assert "has been read 2 times after step" in list(capped.notes())[1]
    with pytest.raises(UserError, match=r"MixConfig.max_epochs = 2 leaves [\d,]+ sequences, .* asks for 24,000"):
        Batches(replace(CFG, steps=1000), replace(MIX, max_epochs=2.0), tokens)


def test_packed_gradients_are_those_of_each_document_alone(tokens):
    cfg = replace(MODEL, layers=1, remat="none")
    params = init_params(cfg, jax.random.key(0))
    batch = Batches(replace(CFG, batch=6), MIX, tokens)[0]
    tokens_, targets, weights, segments = batch.tokens, batch.targets, batch.weights, batch.segments
    alone = np.zeros((3, 6 * int(segments.max()), CFG.length), np.float32)
    for number, (row, segment) in enumerate(np.ndindex(6, int(segments.max()))):
        inside = segments[row] == segment + 1
        for array, into in zip((tokens_, targets, weights), alone):
            into[number, : inside.sum()] = array[row, inside]
    separate = Batch(alone[0].astype(np.int32), alone[1].astype(np.int32), alone[2])

    def gradients(batch):
        batch = jax.tree.map(jnp.asarray, batch)
        sums = lambda params: loss(cfg, params, batch, Execution())
        return jax.jit(jax.grad(lambda params: sums(params).minimised / sums(params).count))(params)

    packed, expected = gradients(batch._replace(domains=None)), gradients(separate)
    for a, b in zip(jax.tree.leaves(packed), jax.tree.leaves(expected)):
        assert jnp.linalg.norm(a - b) <= 5e-6 * jnp.linalg.norm(b)
    joined = gradients(batch._replace(domains=None, segments=None, positions=None))
    worst = max(
        float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))
        for a, b in zip(jax.tree.leaves(joined), jax.tree.leaves(expected))
    )
    assert worst > 1e-2  # without segments the documents see each other
