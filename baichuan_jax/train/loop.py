"""The train loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import grain
import jax
import numpy as np
import optax

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.interrupt import Interrupted
from baichuan_jax.core.metrics import Metrics, read_metrics
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, param_axes, parameter_count
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.train.batch_hashes import BatchHashes
from baichuan_jax.train.checkpoint import Checkpoints, set_aside
from baichuan_jax.train.config import (
    CHECKPOINTS,
    OptimConfig,
    ProfileConfig,
    RetentionConfig,
    TrainConfig,
    checkpoint_steps,
)
from baichuan_jax.train.finite import Diverged, check_finite
from baichuan_jax.train.input import Batches, abstract_batch, iterate, place
from baichuan_jax.train.log import Record, StepLog
from baichuan_jax.train.optim import make_optimizer, schedule
from baichuan_jax.train.profile import Profiler
from baichuan_jax.train.saves import Saves
from baichuan_jax.train.saving import CheckpointWriter
from baichuan_jax.train.state import ShardedState, TrainState
from baichuan_jax.train.step import make_step
from baichuan_jax.train.stop import checkpoint_on_signal, stop_between_steps
from baichuan_jax.train.throughput import Meter, peak_memory, step_memory

PROFILE = "profile"
NO_PROFILE, NOTHING_FOR_GOOD = ProfileConfig(), RetentionConfig()
Weigh = Callable[[Params, Batch], Batch]  # (parameters before a step, its rows) -> the rows with weights of targets


def train(
    cfg: TrainConfig,
    optim_cfg: OptimConfig,
    model_cfg: DecoderConfig,
    exe: Execution,
    batches: Batches,
    directory: Path,
    validate: Callable[[Params], dict[str, float]],
    report: Callable[[Record], None],
    profile: ProfileConfig = NO_PROFILE,
    begun: Callable[[int, list[str]], None] = lambda step, told: None,
    took: Callable[[dict[str, float]], None] = lambda seconds: None,
    weigh: Weigh | None = None,
    retention: RetentionConfig = NOTHING_FOR_GOOD,
    about: Callable[[], dict[str, Any]] = dict,
    note: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train from the newest checkpoint in `directory`, or from its start, to the last step; return a summary.

    validate: bits per byte of every domain. report: called with each metrics record. begun: called once, before the
    first batch is read, with the step that training goes on from and what its user should know of that. took: called
    after the first step with the seconds of each part of the way to it. weigh: sets the weights of the targets of each
    batch, [B, T]; what it remembers is not in checkpoints. about: returns what every checkpoint says of the run. note:
    called with a line about a checkpoint that could not be written, or that was asked for.

    Raise Interrupted after a checkpoint if a stop was asked for; calling again goes on from there, bit for bit. Raise
    UserError if training diverges; nothing that is not finite is saved. Several processes call it alike, each with its
    own rows; the first writes the metrics and returns the summary.
    """
    first, layout = jax.process_index() == 0, exe.layout
    optimizer = make_optimizer(optim_cfg, cfg.steps, param_axes(model_cfg), cfg.seed)
    sharded = ShardedState(model_cfg, optimizer, layout)
    seconds: dict[str, float] = {}

    profiler, folder = Profiler(profile, directory / PROFILE, start=first), directory / CHECKPOINTS
    rate = jax.jit(schedule(optim_cfg, cfg.steps))  # operation by operation it takes as long as two small steps
    with (
        _explained(folder, optim_cfg),
        checkpoint_on_signal() as request,
        CheckpointWriter(folder, cfg.keep, retention) as writer,
    ):
        part = "restore" if checkpoint_steps(folder) else "initial state"

        def begin() -> tuple[TrainState, grain.DatasetIterator]:
            with _timed(seconds, part):
                return _begin(cfg, batches, sharded, folder, begun)

        with ThreadPoolExecutor(1) as threads:
            beside = threads.submit(begin)
            with _timed(seconds, "compile"):
                taken = abstract_batch(cfg.batch, cfg.length, batches.packing, weighed=weigh is not None)
                train_step = make_step(cfg, model_cfg, optimizer, sharded, exe).lower(sharded.abstract, taken).compile()
            state, loader = beside.result()
        start = int(state.step)
        with (
            stop_between_steps() as asked,
            profiler,
            Metrics(directory, from_step=start) if first else nullcontext() as metrics,
            BatchHashes(directory if first else None, start, batches.rows, layout) as hashes,
        ):
            meter = Meter(model_cfg, cfg.length, exe)
            log = StepLog(cfg, rate, meter, metrics, hashes, report, batches.domains if exe.domains else ())
            saves = Saves(cfg, writer, request, note, lambda step: {**about(), **_position(cfg, rate, step)})
            if _evaluates(cfg, start) and not _evaluated(directory, start):
                with log.pause(), _timed(seconds, "validation"):
                    log.validation(start, validate(state.params))
            begun_at = time.perf_counter()
            for step in range(start + 1, cfg.steps + 1):
                rows = next(loader)
                hashes.add(step, rows)
                with profiler.step(step):
                    weighed = weigh(state.params, rows) if weigh else rows
                    state, values = train_step(state, place(layout, weighed))
                profiler.after(step, values)
                if step == start + 1:
                    jax.block_until_ready(values)
                    took({**seconds, "first step": time.perf_counter() - begun_at})
                    meter.find_peak()
                log.step(step, values)
                done, stop = step == cfg.steps, asked(step)
                if saves.due(step) or done or stop:
                    with log.pause():
                        check_finite(state)
                        saves.save(state, loader.get_state())
                if stop and not done:
                    saves.secure(state, loader.get_state())
                    raise Interrupted(f"training stopped at step {step} of {cfg.steps}, checkpoint written")
                if _evaluates(cfg, step):
                    with log.pause():
                        log.validation(step, validate(state.params))
            if start < cfg.steps:
                saves.secure(state, loader.get_state())
    if not first:
        return {}
    memory = {"step_memory_bytes": step_memory(train_step), **peak_memory(layout.mesh.local_devices)}
    return {**_summary(cfg, model_cfg, layout, meter, read_metrics(directory)), **memory}


def _begin(
    cfg: TrainConfig,
    batches: Batches,
    sharded: ShardedState,
    folder: Path,
    begun: Callable[[int, list[str]], None],
) -> tuple[TrainState, grain.DatasetIterator]:
    """Return the state to go on from, and the input, which reads ahead. begun: as `train` has it."""
    told, loader_state = [], None
    if checkpoint_steps(folder):
        with Checkpoints(folder) as checkpoints:
            state, loader_state, told = checkpoints.restore(sharded.abstract)
    elif cfg.start:
        with Checkpoints(Path(cfg.start)) as others:
            state = sharded.start(others.restore_params(sharded.abstract.params))
    else:
        state = sharded.init(cfg.seed)
    begun(int(state.step), told)
    loader = iterate(cfg, batches)
    if loader_state:
        loader.set_state(loader_state)
    loader.start_prefetch()
    return state, loader


def _position(cfg: TrainConfig, rate: optax.Schedule, step: int) -> dict[str, Any]:
    """Return where training stands after a step, beside its state: the rate of the next step, and the seed."""
    return {"step": step, "next_learning_rate": float(rate(step)), "seed": cfg.seed}


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[part] = time.perf_counter() - start


def untrained(model_cfg: DecoderConfig, layout: Layout) -> dict[str, Any]:
    """Return the summary of no training at all."""
    return {"parameters": parameter_count(model_cfg), "tokens": 0, "steps": 0, **_devices(layout)}


@contextmanager
def _explained(folder: Path, optim_cfg: OptimConfig) -> Iterator[None]:
    """Turn Diverged into a UserError that says how to go on, when the last checkpoint has been written."""
    try:
        yield
    except Diverged as diverged:
        bad = [step for step in checkpoint_steps(folder) if step > diverged.last_good]
        moved = [str(set_aside(folder, step)) for step in bad] if jax.process_index() == 0 else []
        left = [step for step in checkpoint_steps(folder) if step not in bad]
        of_bad = f" The state before it is no better: its checkpoint is now {', '.join(moved)}." if moved else ""
        way_on = f"goes on from step {left[-1]}" if left else "begins anew, as there is no checkpoint before that,"
        raise UserError(
            f"training has diverged: {diverged}. Nothing of that is kept.{of_bad} The same command {way_on} with "
            f"--set OptimConfig.peak_lr=... below {optim_cfg.peak_lr:g}, or a longer OptimConfig.warmup_steps"
        ) from None


def _evaluates(cfg: TrainConfig, step: int) -> bool:
    return step % cfg.eval_every == 0 or step == cfg.steps


def _evaluated(directory: Path, step: int) -> bool:
    """Return whether an evaluation is on record: whoever dies between a checkpoint and its evaluation has none."""
    return any(record["step"] == step and "validation" in record for record in read_metrics(directory))


def _devices(layout: Layout) -> dict[str, Any]:
    return {"mesh": dict(layout.mesh.shape), "device": layout.mesh.devices.flat[0].device_kind}


def _summary(
    cfg: TrainConfig, model_cfg: DecoderConfig, layout: Layout, meter: Meter, records: list[Record]
) -> dict[str, Any]:
    logged = [record for record in records if "loss" in record]
    keys = ("tokens_per_second", "tokens_per_second_per_device", "mfu_full", "mfu_causal", "hfu")
    speeds = {key: float(np.median([record[key] for record in logged])) for key in keys if logged}
    return {
        "parameters": parameter_count(model_cfg),
        "tokens": cfg.steps * cfg.batch * cfg.length,
        "steps": cfg.steps,
        "loss": logged[-1]["loss"] if logged else None,
        "validation": next(record["validation"] for record in reversed(records) if "validation" in record),
        **speeds,
        "peak_flops": meter.peak[0],
        "peak_source": meter.peak[1],
        **_devices(layout),
    }
