"""Training goes back before a spike, and on without its batches, as if they had never been there."""

import re
from contextlib import suppress
from dataclasses import replace
from unittest.mock import patch

import jax
import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_json
from baichuan_jax.core.metrics import REJECTED, read_metrics, read_rejected
from baichuan_jax.train import loop, throughput
from baichuan_jax.train.batch_hashes import read_hashes
from baichuan_jax.train.checkpoint import Checkpoints
from baichuan_jax.train.config import CHECKPOINTS, MixConfig, SpikeConfig, TrainConfig, checkpoint_steps
from baichuan_jax.train.hooks import Hooks
from baichuan_jax.train.input import Batches
from baichuan_jax.train.step import make_execution
from tests.train.small import MODEL, OPTIM, layout, store

CFG = TrainConfig(steps=100, batch=8, length=16, log_every=5, eval_every=50, checkpoint_every=30)
SPIKES = SpikeConfig(score=8.0, window=64, rollbacks=2)
HIGH, NAN = 63, 62  # ids of which a whole batch makes a high loss, and one that is not a number


class Poisoned(Batches):
    """Batches of which some are poison, by their places in the sequence."""

    poison: dict[int, int]

    def __getitem__(self, step):
        batch, id = super().__getitem__(step), self.poison.get(self.draw(step))
        return batch if id is None else batch._replace(tokens=np.full_like(batch.tokens, id))


class Step:
    """Instead of the train step: loss and parameters tell of the tokens."""

    def __init__(self, *_):
        pass

    def lower(self, *_):
        return self

    def compile(self):
        return self

    def __call__(self, state, batch):
        mean = np.float32(np.asarray(batch.tokens).mean())
        loss = float("nan") if mean == NAN else mean / 10
        params = jax.tree.map(lambda leaf: leaf * np.float32(0.9) + np.sin(mean + loss), state.params)
        return state._replace(step=state.step + 1, params=params), {"loss": loss, "grad_norm": np.float32(1)}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return store(tmp_path_factory.mktemp("tokens"))


@pytest.fixture
def train(tokens):
    """Return train(directory, poison, **hooks)."""
    lay = layout(1)

    def train(directory, poison, spikes=SPIKES, **hooks):
        batches = Poisoned(CFG, MixConfig(), tokens)
        batches.poison = poison
        directory.mkdir(exist_ok=True)
        exe, validate = make_execution(CFG, MODEL, lay), lambda params: {"a": 1.0}
        model_cfg = replace(MODEL, remat="none")
        return loop.train(CFG, OPTIM, model_cfg, exe, batches, directory, validate, Hooks(**hooks), spikes=spikes)

    with (
        patch.object(throughput, "measured_flops", lambda dtype: 1e9),
        patch.object(loop, "make_step", Step),
        patch.object(loop, "step_memory", lambda _: 0),
    ):
        yield train


def logged(directory):
    return [(record["step"], record.get("loss")) for record in read_metrics(directory)]


def assert_same(one, other):
    assert logged(one) == logged(other)
    assert read_hashes(one) == read_hashes(other)
    state = []
    for directory in (one, other):
        with Checkpoints(directory / CHECKPOINTS) as checkpoints:
            state.append(checkpoints.restore(loop_state())[0])
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, *state)))


def loop_state():
    optimizer = loop.make_optimizer(OPTIM, CFG.steps, loop.param_axes(MODEL), CFG.seed)
    return loop.ShardedState(MODEL, optimizer, layout(1)).abstract


def test_it_is_as_if_the_batches_had_never_been_there(train, tmp_path):
    told, (run, never) = [], (tmp_path / "run", tmp_path / "never")
    train(run, {72: HIGH}, note=told.append)  # the batch of step 73
    [record] = read_rejected(run)
    assert (record["steps"], record["draws"], record["back_to"]) == ([72, 73], [71, 72], 60)
    assert re.search(
        r"at step 73: the batches of steps 72, 73 are rejected, and .* from step 60 \(time 1 of 2\)", told[0]
    )
    assert [step for step, loss in logged(run) if loss is not None] == list(range(5, 101, 5))
    never.mkdir()
    write_json(never / REJECTED, [record])
    train(never, {})
    assert_same(run, never)


@pytest.mark.slow
@pytest.mark.parametrize("id", [HIGH, NAN])
def test_a_process_that_dies_when_it_has_gone_back_leaves_the_same_to_the_next(train, tmp_path, id):
    def die(line):
        raise RuntimeError(line)

    dies, whole = tmp_path / "dies", tmp_path / "whole"
    train(whole, {72: id})
    with suppress(RuntimeError):
        train(dies, {72: id}, note=die)
    train(dies, {72: id})
    assert_same(dies, whole)


@pytest.mark.slow
def test_a_checkpoint_just_before_a_spike_is_not_trusted(train, tmp_path):
    """Its last step may have made the spike."""
    train(tmp_path / "run", {60: HIGH})  # step 61
    [record] = read_rejected(tmp_path / "run")
    assert (record["steps"], record["back_to"]) == ([60, 61], 30)
    assert [path.name for path in (tmp_path / "run-aside").iterdir()] == ["60"]


@pytest.mark.slow
def test_it_goes_back_so_often_and_no_more(train, tmp_path):
    poison = dict.fromkeys(range(70, 1000), HIGH)
    with pytest.raises(UserError, match=r"went back 2 times before.*SpikeConfig.score or rollbacks.*step 60") as found:
        train(tmp_path / "run", poison)
    assert found.value.fault == "loss spike"
    with pytest.raises(UserError, match="went back 2 times before"):  # a new process counts on
        train(tmp_path / "run", poison)
    assert checkpoint_steps(tmp_path / "run" / CHECKPOINTS) == [30, 60]


@pytest.mark.slow
def test_off_is_as_before(train, tmp_path):
    train(tmp_path / "run", {72: HIGH}, spikes=SpikeConfig())
    assert read_rejected(tmp_path / "run") == []
    train(tmp_path / "on", {}, spikes=SPIKES)
    train(tmp_path / "off", {}, spikes=SpikeConfig())
    assert_same(tmp_path / "on", tmp_path / "off")


def test_rejected_batches_are_left_out_of_the_sequence(tokens):
    batches = Batches(CFG, MixConfig(), tokens)
    whole = [batches[step].tokens for step in range(20)]
    batches.reject([4, 0, 5])
    assert [batches.draw(step) for step in range(6)] == [1, 2, 3, 6, 7, 8]
    assert all(np.array_equal(batches[step].tokens, whole[batches.draw(step)]) for step in range(6))
