"""Observers of training: its programs, and what a run of it leaves."""

import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import jax
import numpy as np
import optax
import pytest

from baichuan_jax.core.files import write_json
from baichuan_jax.core.metrics import REJECTED, read_metrics
from baichuan_jax.evaluate.bits import BitsPerByte
from baichuan_jax.model.decoder import Params
from baichuan_jax.model.execution import Batch
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.stages.train import wandb_board
from baichuan_jax.train import loop, throughput
from baichuan_jax.train.finite import Diverged
from baichuan_jax.train.rollback import roll_back
from baichuan_jax.train.spikes import Detector
from baichuan_jax.train.state import TrainState, abstract_params
from tests.settings.base import config_of, on_one_device, stage, timeless
from tests.settings.texts import write_texts


def prepare() -> None:
    """Fill the current directory: texts, the first stages in `run`, and a trained model in `weights`."""
    write_texts(Path.cwd())
    for name in ("data", "tokenizer", "tokens"):
        stage(name, config_of({}), Path("run", name))
    training(config_of({"TrainConfig.seed": 7}), Path("weights"))


def boards(config: RunConfig, scratch: Path) -> list:
    """Return what Weights & Biases is told when training begins."""
    path = [str(Path(__file__).parents[1] / "core/fake_wandb"), *sys.path]
    with patch.object(sys, "path", path), patch.dict(sys.modules):
        sys.modules.pop("wandb", None)
        with wandb_board(Run(config), scratch, first=True):
            import wandb
        told = [given for kind, given, *_ in wandb.CALLS if kind == "init"]
    return [(given["project"], given["mode"]) for given in told]


class Lowered(Exception):
    """Carries the text of a program that would have been compiled."""


def partitioned(config: RunConfig, scratch: Path) -> str:
    """Return the train step as training lowers it, for eight devices."""

    def lowered(program: jax.stages.Lowered, *_: object):
        raise Lowered(program.as_text())

    with patch.object(jax.stages.Lowered, "compile", lowered), pytest.raises(Lowered) as found:
        stage("train", config, scratch)
    return str(found.value)


program = on_one_device(partitioned)


def partitioned_scoring(config: RunConfig, scratch: Path) -> str:
    """Return the program that scores held-out text during training, for eight devices."""

    def validated(*arguments: object, **_: object) -> None:
        model_cfg, exe, validate = arguments[2], arguments[3], arguments[6]
        validate(abstract_params(model_cfg, exe.layout))

    def lowered(scorer: BitsPerByte, params: Params) -> None:
        text = next(iter(scorer._domains.values()))
        raise Lowered(scorer._score.lower(params, text.tokens, text.counted).as_text())

    with (
        patch.object(loop, "train", validated),
        patch.object(BitsPerByte, "__call__", lowered),
        pytest.raises(Lowered) as found,
    ):
        stage("train", config, scratch)
    return str(found.value)


scoring = on_one_device(partitioned_scoring)


class Step:
    """Instead of the train step, whose program `program` shows: its loss tells of the tokens, and it learns nothing."""

    def __init__(self, _cfg: object, _model_cfg: object, optimizer: optax.GradientTransformation, *_: object):
        self.optimizer = optimizer

    def lower(self, *_: object) -> "Step":
        return self

    def compile(self) -> "Step":
        return self

    def __call__(self, state: TrainState, batch: Batch) -> tuple[TrainState, dict]:
        total = sum(float(np.abs(leaf).sum()) for leaf in jax.tree.leaves(state.params))
        seen = total + float(np.sin(np.asarray(batch.tokens)).sum())
        sums = np.ones(9, np.float32)
        return state._replace(step=state.step + 1), {
            "loss": seen,
            "grad_norm": total,
            "domain_nll": sums,
            "domain_count": sums,
        }


def spikes(config: RunConfig, scratch: Path) -> tuple:
    """Return which steps of a noisy curve are spikes, what is remembered of them, and what is done the second time."""
    rng, detector = np.random.default_rng(0), Detector(config.spikes)
    found = [detector.add({"loss": 9 + x, "grad_norm": 1.0}) for x in rng.standard_normal(200)]
    write_json(scratch / REJECTED, [{"draws": [1]}])
    again = roll_back(config.spikes, scratch, SimpleNamespace(draw=int), Diverged("the loss is high", 5, 3))
    return found, detector.record(), again


class Update(Step):
    """Instead of the train step: the update of the parameters alone."""

    def lower(self, state: TrainState, _: object) -> None:
        raise Lowered(jax.jit(self.optimizer.update).lower(state.params, state.optimizer, state.params).as_text())


@on_one_device
def update(config: RunConfig, scratch: Path) -> str:
    """Return how training updates the parameters."""
    with patch.object(loop, "make_step", Update), pytest.raises(Lowered) as found:
        stage("train", config, scratch)
    return str(found.value)


@on_one_device
def initial(config: RunConfig, scratch: Path) -> str:
    """Return how training makes its first parameters."""

    def lowered(state: loop.ShardedState, seed: int) -> None:
        raise Lowered(jax.jit(lambda: state._fresh(seed)).lower().as_text())

    with (
        patch.object(throughput, "measured_flops", lambda dtype: 1e9),
        patch.object(loop, "make_step", Step),
        patch.object(loop.ShardedState, "init", lowered),
        pytest.raises(Lowered) as found,
    ):
        stage("train", config, scratch)
    return str(found.value)


@on_one_device
def training(config: RunConfig, scratch: Path) -> tuple:
    """Return what a run logs, the checkpoints it leaves, and which steps it traces."""
    events = []
    annotation = lambda name, step_num: events.append(step_num) or nullcontext()
    with (
        patch.object(throughput, "measured_flops", lambda dtype: 1e9),
        patch.object(loop, "make_step", Step),
        patch.object(loop, "step_memory", lambda _: 0),
        patch.object(jax.profiler, "start_trace", lambda _: events.append("start")),
        patch.object(jax.profiler, "stop_trace", lambda: events.append("stop")),
        patch.object(jax.profiler, "StepTraceAnnotation", annotation),
    ):
        result = stage("train", config, scratch)
    checkpoints = sorted(path.name for path in (scratch / "checkpoints").glob("*") if path.is_dir())
    return timeless(read_metrics(scratch)), timeless(result), checkpoints, events
