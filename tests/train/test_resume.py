"""The resume certificate: training that goes on from a checkpoint makes the bits of one that was never interrupted."""

import json
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baichuan_jax.model.decoder import param_axes
from baichuan_jax.train.checkpoint import ABOUT, Checkpoints
from baichuan_jax.train.config import MixConfig, OptimConfig, TrainConfig
from baichuan_jax.train.input import Batches, iterate, place
from baichuan_jax.train.optim import make_optimizer, schedule
from baichuan_jax.train.saving import CheckpointWriter
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import make_execution, make_step
from tests.train.small import MODEL, layout, store

CFG = TrainConfig(steps=6, batch=8, length=16, accumulate=2, seed=3)
OPTIM = OptimConfig(peak_lr=1e-2, warmup_steps=2, moments="bfloat16")
HALF = 3


@cache
def programs(seed):
    """Return the layout, the state's shardings and the step. seed: of the random bits of rounding."""
    lay = layout(2, fsdp=2)
    optimizer = make_optimizer(OPTIM, CFG.steps, param_axes(MODEL), seed)
    sharded = ShardedState(MODEL, optimizer, lay)
    return lay, sharded, make_step(CFG, MODEL, optimizer, sharded, make_execution(CFG, MODEL, lay))


class Training:
    """A state and its input, made anew as by a new process."""

    def __init__(self, tokens, seed=CFG.seed):
        self.layout, self.sharded, self.step = programs(seed)
        self.loader = iterate(CFG, Batches(CFG, MixConfig(), tokens))
        self.state = None

    def run(self, steps):
        """Take steps; return the state, on the host."""
        for _ in range(steps):
            self.state, _ = self.step(self.state, place(self.layout, next(self.loader)))
        return jax.tree.map(np.asarray, self.state)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """(tokens, checkpoint folder of half the steps, state after all of them)."""
    tokens, folder = store(tmp_path_factory.mktemp("tokens")), tmp_path_factory.mktemp("train") / "checkpoints"
    training = Training(tokens)
    training.state = training.sharded.init(CFG.seed)
    training.run(HALF)
    about = {"next_learning_rate": float(schedule(OPTIM, CFG.steps)(HALF)), "seed": CFG.seed}
    with CheckpointWriter(folder, keep=1) as writer:
        writer.save(training.state, training.loader.get_state(), about)
    return tokens, folder, training.run(CFG.steps - HALF)


def resumed(found, seed=CFG.seed):
    tokens, folder, _ = found
    training = Training(tokens, seed)
    with Checkpoints(folder) as checkpoints:
        training.state, loader, told = checkpoints.restore(training.sharded.abstract)
    assert told == []
    training.loader.set_state(loader)
    return training


def same(a, b):
    equal = jax.tree.map(lambda x, y: x.dtype == y.dtype and np.array_equal(x, y), a, b)
    return all(jax.tree.leaves(equal))


def test_the_certificate(found):
    """Parameters, both moments, step, loader, random bits of rounding and the rate, in one commit."""
    training = resumed(found)
    moments = {leaf.dtype for leaf in jax.tree.leaves(training.state.optimizer) if leaf.ndim}
    assert moments == {jnp.dtype(jnp.bfloat16)}
    assert int(training.state.step) == HALF
    assert same(training.run(CFG.steps - HALF), found[2])
    about = json.loads((found[1] / f"{HALF}/{ABOUT}/metadata").read_text())
    assert about["next_learning_rate"] == pytest.approx(float(schedule(OPTIM, CFG.steps)(HALF)))


def changed_moments(state, number):
    leaves, tree = jax.tree.flatten(state.optimizer)
    large = [place for place, leaf in enumerate(leaves) if leaf.ndim]
    leaves[large[number]] = leaves[large[number]] * 2
    return state._replace(optimizer=jax.tree.unflatten(tree, leaves))


@pytest.mark.parametrize("lost", ["parameters", "first moment", "second moment", "rate", "loader", "rounding"])
def test_no_part_of_it_can_be_lost_unnoticed(found, lost):
    training = resumed(found, seed=CFG.seed + (lost == "rounding"))
    state = training.state
    if lost == "parameters":
        training.state = state._replace(params=jax.tree.map(lambda x: x * (1 + 2**-20), state.params))
    elif lost == "rate":  # the counts of Adam and of the schedule
        count = lambda x: x * 0 if not x.ndim else x
        training.state = state._replace(optimizer=jax.tree.map(count, state.optimizer))
    elif lost == "loader":
        next(training.loader)
    elif lost != "rounding":
        training.state = changed_moments(state, 0 if lost == "first moment" else -1)
    assert not same(training.run(1), resumed(found).run(1))
