import json
import time
from dataclasses import replace

import jax
import numpy as np
import pytest

from baichuan_jax.train.batch_hashes import BatchHashes, batch_hash, in_hexadecimal, read_hashes, row_hashes
from baichuan_jax.train.config import BATCH_HASHES, MixConfig, TrainConfig
from baichuan_jax.train.input import Batches, iterate
from tests.disk import files_of_at_most
from tests.train.small import layout, store

CFG = TrainConfig(steps=8, batch=24, length=16)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return store(tmp_path_factory.mktemp("tokens"))


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("hosts", [1, 2, 3, 4, 8])
def test_hosts_find_the_same_hashes_from_their_own_rows(tokens, hosts, packing):
    mix = MixConfig(packing=packing)
    if packing:
        _one_document_each(tokens)
    parts = [Batches(CFG, mix, tokens, range(host, CFG.batch, hosts)) for host in range(hosts)]
    for step in (0, 5):
        whole = batch_hash(Batches(CFG, mix, tokens)[step])
        added = sum(row_hashes(part[step], part.rows).sum(0, dtype=np.uint32) for part in parts)
        assert in_hexadecimal(added) == whole


@pytest.mark.parametrize(("before", "after"), [(1, 3), (4, 2), (8, 1), (3, 8)])
def test_other_hosts_go_on_with_the_sequence(tokens, before, after):
    """From the loader state of any of the hosts before."""

    def loaders(hosts):
        parts = [Batches(CFG, MixConfig(), tokens, range(host, CFG.batch, hosts)) for host in range(hosts)]
        return [(part, iterate(CFG, part)) for part in parts]

    def step(hosts):
        added = sum(row_hashes(next(loader), part.rows).sum(0, dtype=np.uint32) for part, loader in hosts)
        return in_hexadecimal(added)

    first = loaders(before)
    found = [step(first) for _ in range(CFG.steps // 2)]
    [state] = {json.dumps(loader.get_state()) for _, loader in first}
    second = loaders(after)
    for _, loader in second:
        loader.set_state(json.loads(state))
    found += [step(second) for _ in range(CFG.steps // 2)]
    assert found == [batch_hash(Batches(CFG, MixConfig(), tokens)[number]) for number in range(CFG.steps)]


@pytest.mark.slow
def test_a_step_far_away_is_found_at_once(tokens):
    """Step 10^6 within 50 ms, packed or not: no step before it is drawn."""
    _one_document_each(tokens)
    cfg = replace(CFG, steps=10**6 + 100)
    for packing in (False, True):
        batches = Batches(cfg, MixConfig(packing=packing), tokens)
        seconds = []
        for _ in range(5):
            loader = iterate(cfg, batches)
            state = {**loader.get_state(), "next_index": 10**6}
            assert loader.get_state().keys() == state.keys()
            begun = time.perf_counter()
            loader.set_state(state)
            found = next(loader)
            seconds.append(time.perf_counter() - begun)
        assert batch_hash(found) == batch_hash(batches[10**6])
        assert min(seconds) <= 0.05, seconds


def _one_document_each(tokens):
    for shard in tokens.shards():
        np.array([0, shard["tokens"]], "<u8").tofile(tokens.files(shard)[1])


def test_the_hash_tells_batches_and_orders_of_rows_apart(tokens):
    batch = Batches(CFG, MixConfig(), tokens)[0]
    other = Batches(CFG, MixConfig(), tokens)[1]
    turned = jax.tree.map(lambda rows: rows[::-1], batch)
    one_id = batch._replace(tokens=batch.tokens + (np.arange(batch.tokens.size) == 7).reshape(batch.tokens.shape))
    one_domain = batch._replace(domains=batch.domains + (np.arange(len(batch.domains)) == 3))
    assert len({batch_hash(each) for each in (batch, other, turned, one_id, one_domain)}) == 5


def test_each_step_is_on_record_once(tokens, tmp_path):
    """After a restart, and when the disk had no room for a while. The devices add up rows as the host does."""
    batches = Batches(CFG, MixConfig(), tokens)
    with BatchHashes(tmp_path, 0, batches.rows, layout(8)) as hashes:
        for step in range(1, 6):
            hashes.add(step, batches[step - 1])
            hashes.write()
        with (tmp_path / BATCH_HASHES).open("a") as file:
            file.write("6 12")  # killed while writing
    on_device = jax.make_array_from_process_local_data(hashes._sharding, row_hashes(batches[0], batches.rows))
    assert read_hashes(tmp_path)[1] == in_hexadecimal(np.asarray(hashes._add_up(on_device)))
    with BatchHashes(tmp_path, 3, batches.rows, layout(1)) as hashes:
        for step in range(4, 9):
            hashes.add(step, batches[step - 1])
            with files_of_at_most(60):
                hashes.write()
    lines = (tmp_path / BATCH_HASHES).read_text().splitlines()
    assert lines == [f"{step} {batch_hash(batches[step - 1])}" for step in range(1, 9)]
