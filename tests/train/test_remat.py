"""DecoderConfig.remat 'auto': the least recomputation that fits, kept when training goes on."""

from dataclasses import replace

import jax
import pytest

from baichuan_jax.core.machine import total_memory
from baichuan_jax.model.decoder import param_axes
from baichuan_jax.train import loop
from baichuan_jax.train.checkpoint import ABOUT, read_about
from baichuan_jax.train.config import CHECKPOINTS, MixConfig, OptimConfig, TrainConfig
from baichuan_jax.train.hooks import Hooks
from baichuan_jax.train.input import Batches, abstract_batch
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.remat import BY_MEMORY, candidates, compile_least, memory_limit
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import make_execution, make_step
from baichuan_jax.train.throughput import step_memory
from tests.train.small import MODEL, layout, store

CFG = TrainConfig(steps=4, batch=8, length=32, checkpoint_every=2, eval_every=4)
OPTIM = OptimConfig(peak_lr=1e-3, warmup_steps=1)
AUTO, WIDE = replace(MODEL, remat="auto"), replace(MODEL, inner=256)


def lowered(model_cfg):
    lay = layout(1)
    optimizer = make_optimizer(OPTIM, CFG.steps, param_axes(model_cfg))
    sharded, exe = ShardedState(model_cfg, optimizer, lay), make_execution(CFG, model_cfg, lay)
    step = make_step(CFG, model_cfg, optimizer, sharded, exe)
    return step.lower(sharded.abstract, abstract_batch(CFG.batch, CFG.length, False))


@pytest.fixture(scope="module")
def sizes():
    """Return the bytes of a step by the value of remat."""
    return {kind: step_memory(lowered(replace(WIDE, remat=kind)).compile()) for kind in BY_MEMORY}


def test_less_is_recomputed_the_more_memory_there_is(sizes):
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True)
    assert len(set(sizes.values())) == len(BY_MEMORY)
    for kind, size in sizes.items():
        for limit in (size, size + 1):
            assert compile_least(WIDE, BY_MEMORY, lowered, limit)[0].remat == kind
    assert compile_least(WIDE, BY_MEMORY, lowered, 1)[0].remat == BY_MEMORY[-1], "nothing fits: the least memory"
    assert compile_least(WIDE, ("none",), lowered, 1)[0].remat == "none", "the config said so"


def test_a_compiler_that_refuses_a_step_is_answered_with_the_next(sizes):
    def refuses(model_cfg, what="RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm"):
        if model_cfg.remat != "block":
            raise jax.errors.JaxRuntimeError(what)
        return lowered(model_cfg)

    assert compile_least(WIDE, BY_MEMORY, refuses, max(sizes.values()))[0].remat == "block"
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE"):
        compile_least(WIDE, BY_MEMORY[:2], refuses, max(sizes.values()))
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        compile_least(WIDE, BY_MEMORY, lambda cfg: refuses(cfg, "INTERNAL: a bug"), max(sizes.values()))


def test_the_limit_is_a_share_of_what_the_machine_has():
    one, eight = memory_limit(jax.local_devices()[:1]), memory_limit(jax.local_devices()[:8])
    assert one == memory_limit(jax.local_devices()[:1])
    assert 0.2 * total_memory() < one < total_memory()
    assert eight == pytest.approx(one / 8, abs=1)


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Return train(steps, limit): (summary, notes) of a training that may take so many bytes for a step."""
    lay, tokens = layout(1), store(tmp_path / "tokens")

    def train(steps, limit):
        monkeypatch.setattr(loop, "memory_limit", lambda devices: limit)
        cfg, notes = replace(CFG, steps=steps), []
        batches = Batches(cfg, MixConfig(), tokens)
        exe, validate = make_execution(cfg, AUTO, lay), lambda params: {}
        found = loop.train(cfg, OPTIM, AUTO, exe, batches, tmp_path / "train", validate, Hooks(note=notes.append))
        return found, notes

    return train


def test_training_records_what_it_has_chosen(train, tmp_path):
    found, notes = train(4, limit=1)
    assert found["remat"] == "block"
    assert "DecoderConfig.remat is 'block': a step takes" in notes[0]
    folder = tmp_path / "train" / CHECKPOINTS
    assert [read_about(folder, step)["remat"] for step in (2, 4)] == ["block"] * 2
    assert candidates("auto", folder) == ("block",)
    next((folder / "4" / ABOUT).iterdir()).write_bytes(b"\xff{")  # damaged: the one before says the same
    assert candidates("auto", folder) == ("block",)
    assert candidates("products", folder) == ("products",)
    assert candidates("auto", tmp_path / "elsewhere") == BY_MEMORY


@pytest.mark.slow
def test_training_goes_on_with_what_it_began_with(train):
    train(2, limit=1)
    found, notes = train(4, limit=2**40)
    assert (found["remat"], notes) == ("block", [])
