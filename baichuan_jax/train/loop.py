"""The train loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grain
import jax
import optax

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.goodput import COMPILE, INPUT, RESTORE, SAVE, STEP, VALIDATION
from baichuan_jax.core.interrupt import Interrupted
from baichuan_jax.core.metrics import Metrics, read_metrics
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, param_axes
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.train.batch_hashes import BatchHashes
from baichuan_jax.train.checkpoint import Checkpoints, read_about, set_aside
from baichuan_jax.train.config import (
    CHECKPOINTS,
    OptimConfig,
    ProfileConfig,
    RetentionConfig,
    SpikeConfig,
    TrainConfig,
    checkpoint_steps,
)
from baichuan_jax.train.finite import Diverged, check_finite
from baichuan_jax.train.hooks import Hooks
from baichuan_jax.train.input import AnyBatches, abstract_batch, iterate, place
from baichuan_jax.train.log import StepLog
from baichuan_jax.train.optim import make_optimizer, schedule
from baichuan_jax.train.profile import Profiler
from baichuan_jax.train.remat import candidates, choice, compile_least, memory_limit
from baichuan_jax.train.rollback import rejected_draws, roll_back
from baichuan_jax.train.saves import Saves
from baichuan_jax.train.saving import CheckpointWriter
from baichuan_jax.train.spikes import Detector
from baichuan_jax.train.state import Adaptation, ShardedState, TrainState
from baichuan_jax.train.step import make_step
from baichuan_jax.train.stop import checkpoint_on_signal, stop_between_steps
from baichuan_jax.train.summary import summary
from baichuan_jax.train.throughput import Meter, peak_memory, step_memory

PROFILE = "profile"
NO_HOOKS, NO_PROFILE, NOTHING_FOR_GOOD, NO_SPIKES = Hooks(), ProfileConfig(), RetentionConfig(), SpikeConfig()
Weigh = Callable[[Params, Batch], Batch]  # (parameters before a step, its rows) -> the rows with weights of targets
Position = tuple[TrainState, grain.DatasetIterator]


def train(
    cfg: TrainConfig,
    optim_cfg: OptimConfig,
    model_cfg: DecoderConfig,
    exe: Execution,
    batches: AnyBatches,
    directory: Path,
    validate: Callable[[Params], dict[str, float]],
    hooks: Hooks = NO_HOOKS,
    profile: ProfileConfig = NO_PROFILE,
    retention: RetentionConfig = NOTHING_FOR_GOOD,
    spikes: SpikeConfig = NO_SPIKES,
    weigh: Weigh | None = None,
    adaptation: Adaptation | None = None,
) -> dict[str, Any]:
    """Train from the newest checkpoint in `directory`, or from its start, to the last step; return a summary.

    validate: bits per byte of every domain. weigh: sets the weights of the targets of each batch, [B, T]; what it
    remembers is not in checkpoints. adaptation: what is trained in place of the model's parameters.

    Raise Interrupted after a checkpoint if a stop was asked for; calling again goes on from there, bit for bit. Raise
    UserError if training diverges; nothing that is not finite is saved. Several processes call it alike, each with its
    own rows; the first writes the metrics and returns the summary.
    """
    first, folder = jax.process_index() == 0, directory / CHECKPOINTS
    optimizer = make_optimizer(optim_cfg, cfg.steps, adaptation.axes if adaptation else param_axes(model_cfg), cfg.seed)
    sharded = ShardedState(model_cfg, optimizer, exe.layout, adaptation)
    frozen = [adaptation.frozen] if adaptation else []
    seconds: dict[str, float] = {}
    rate = jax.jit(schedule(optim_cfg, cfg.steps))  # operation by operation it takes as long as two small steps
    with (
        _explained(folder, optim_cfg),
        checkpoint_on_signal() as request,
        CheckpointWriter(folder, cfg.keep, retention) as writer,
    ):
        part = RESTORE if checkpoint_steps(folder) else "initial state"
        tried = candidates(model_cfg.remat, folder)
        limit = memory_limit(exe.layout.mesh.local_devices) if len(tried) > 1 else 0

        def begin() -> Position:
            with _timed(seconds, part):
                return _begin(cfg, batches, sharded, directory, hooks.begun)

        with ThreadPoolExecutor(1) as threads:
            beside = threads.submit(begin)
            with hooks.phases.of(COMPILE), _timed(seconds, COMPILE):
                taken = abstract_batch(cfg.batch, cfg.length, batches.packing, weighed=weigh is not None)

                def lower(model_cfg: DecoderConfig) -> jax.stages.Lowered:
                    return make_step(cfg, model_cfg, optimizer, sharded, exe).lower(sharded.abstract, taken, *frozen)

                model_cfg, step = compile_least(model_cfg, tried, lower, limit)
                if len(tried) > 1:
                    hooks.note(choice(model_cfg, step, limit))
            with hooks.phases.of(RESTORE):
                position = beside.result()
        meter = Meter(model_cfg, cfg.length, exe)
        detector = Detector(spikes) if spikes.score else None
        saves = Saves(
            cfg,
            writer,
            request,
            hooks.note,
            lambda step: {**hooks.about(), **_position(cfg, model_cfg, rate, detector, step)},
        )
        with stop_between_steps() as asked, Profiler(profile, directory / PROFILE, start=first) as profiler:
            loop = _Loop(
                cfg,
                exe,
                batches,
                directory,
                validate,
                hooks,
                weigh,
                rate,
                lambda state, rows: step(state, rows, *frozen),
                saves,
                asked,
                profiler,
                meter,
                detector,
            )
            while spike := loop.run(*position, seconds):
                with meter.pause(), hooks.phases.of(RESTORE):
                    del position  # its memory is needed
                    writer.go_back()
                    hooks.note(roll_back(spikes, directory, batches, spike))
                    position = begin()
                    seconds.clear()
    if not first:
        return {}
    memory = {"step_memory_bytes": step_memory(step), **peak_memory(exe.layout.mesh.local_devices)}
    chosen = {"remat": model_cfg.remat, "compute_dtype": str(exe.dtype)}
    return {**summary(cfg, model_cfg, exe.layout, meter, read_metrics(directory)), **chosen, **memory}


@dataclass
class _Loop:
    """The steps of a training, from a state on."""

    cfg: TrainConfig
    exe: Execution
    batches: AnyBatches
    directory: Path
    validate: Callable[[Params], dict[str, float]]
    hooks: Hooks
    weigh: Weigh | None
    rate: optax.Schedule
    train_step: Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]
    saves: Saves
    asked: Callable[[int], bool]
    profiler: Profiler
    meter: Meter
    detector: Detector | None

    def run(self, state: TrainState, loader: grain.DatasetIterator, seconds: dict[str, float]) -> Diverged | None:
        """Train to the last step, or to a spike, if these are looked for; return it.

        seconds: of each part of the way to the first step of the process; empty if that is over.
        """
        try:
            self._run(state, loader, seconds)
        except Diverged as spike:
            if self.detector is None:
                raise
            return spike.with_traceback(None)  # which would keep the state
        return None

    def _run(self, state: TrainState, loader: grain.DatasetIterator, seconds: dict[str, float]) -> None:
        first, start, phases = jax.process_index() == 0, int(state.step), self.hooks.phases
        with (
            Metrics(self.directory, start, self.hooks.board) if first else nullcontext() as metrics,
            BatchHashes(self.directory if first else None, start, self.batches.rows, self.exe.layout) as hashes,
        ):
            domains = self.batches.domains if self.exe.domains else ()
            if self.detector:
                self.detector.restore(read_about(self.directory / CHECKPOINTS, start).get("spikes", {}))
            log = StepLog(self.cfg, self.rate, self.meter, metrics, hashes, self.hooks, self.detector, domains)
            phases.begin(start)
            if _evaluates(self.cfg, start) and not _evaluated(self.directory, start):
                with _timed(seconds, VALIDATION):
                    self._validate(start, state, log)
            begun_at = time.perf_counter()
            for step in range(start + 1, self.cfg.steps + 1):
                with phases.of(INPUT):
                    rows = next(loader)
                    hashes.add(step, rows)
                with phases.of(STEP):
                    state, values = self._step(step, state, rows)
                    if step == start + 1 and seconds:
                        jax.block_until_ready(values)
                        self.hooks.took({**seconds, "first step": time.perf_counter() - begun_at})
                    log.step(step, values)
                    done, stop, due = step == self.cfg.steps, self.asked(step), self.saves.due(step)
                    phases.finished(step)
                    if step == start + 1 and seconds:
                        self.meter.find_peak()  # half a second on a CPU, which a restart need not wait for
                if due or done or stop:
                    with log.pause(SAVE):
                        check_finite(state)
                        self.saves.save(state, loader.get_state())
                        if stop and not done:
                            self.saves.secure(state, loader.get_state())
                if stop and not done:
                    raise Interrupted(f"training stopped at step {step} of {self.cfg.steps}, checkpoint written")
                if _evaluates(self.cfg, step):
                    self._validate(step, state, log)
            if start < self.cfg.steps:
                with phases.of(SAVE):
                    self.saves.secure(state, loader.get_state())

    def _step(self, step: int, state: TrainState, rows: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        with self.profiler.step(step):
            weighed = self.weigh(state.params, rows) if self.weigh else rows
            state, values = self.train_step(state, place(self.exe.layout, weighed))
        self.profiler.after(step, values)
        return state, values

    def _validate(self, step: int, state: TrainState, log: StepLog) -> None:
        with log.pause(VALIDATION):
            log.validation(step, self.validate(state.params))


def _begin(
    cfg: TrainConfig,
    batches: AnyBatches,
    sharded: ShardedState,
    directory: Path,
    begun: Callable[[int, list[str]], None],
) -> Position:
    """Return the state to go on from, and the input, which reads ahead. begun: as `Hooks` has it."""
    told, loader_state, folder = [], None, directory / CHECKPOINTS
    batches.reject(rejected_draws(directory))
    if checkpoint_steps(folder):
        with Checkpoints(folder) as checkpoints:
            state, loader_state, told = checkpoints.restore(sharded.abstract)
    elif cfg.start and sharded.adaptation is None:
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


def _position(
    cfg: TrainConfig, model_cfg: DecoderConfig, rate: optax.Schedule, detector: Detector | None, step: int
) -> dict[str, Any]:
    """Return where training stands after a step, beside its state, and what else its next steps depend on."""
    usual = {"spikes": detector.record()} if detector else {}
    return {
        "step": step,
        "next_learning_rate": float(rate(step)),
        "seed": cfg.seed,
        "remat": model_cfg.remat,
        **usual,
    }


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[part] = time.perf_counter() - start


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
        section = "TuneConfig" if folder.parent.name == "tune" else "OptimConfig"
        raise UserError(
            f"training has diverged: {diverged}. Nothing of that is kept.{of_bad} The same command {way_on} with "
            f"--set {section}.peak_lr=... below {optim_cfg.peak_lr:g}, or a longer {section}.warmup_steps",
            "not finite",
        ) from None


def _evaluates(cfg: TrainConfig, step: int) -> bool:
    return step % cfg.eval_every == 0 or step == cfg.steps


def _evaluated(directory: Path, step: int) -> bool:
    """Return whether an evaluation is on record: whoever dies between a checkpoint and its evaluation has none."""
    return any(record["step"] == step and "validation" in record for record in read_metrics(directory))
