"""Stage train: token shards to checkpoints."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_jax.config.literal import gin_text, parts, settings, values
from baichuan_jax.core.boards import WeightsAndBiases, check_wandb, flatten
from baichuan_jax.core.checkpointed import Change, Checkpointed
from baichuan_jax.core.errors import require
from baichuan_jax.core.goodput import FILE as LEDGER
from baichuan_jax.core.interrupt import may_handle_signals
from baichuan_jax.core.memory import within_memory
from baichuan_jax.core.process_age import process_age
from baichuan_jax.core.revision import code_revision
from baichuan_jax.core.stage import versions
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.recipe.progress import Progress
from baichuan_jax.recipe.spec import ReportSection, StageResult, StageSpec
from baichuan_jax.train.config import CHECKPOINTS, MixConfig, OptimConfig, TrainConfig, checkpoint_steps

if TYPE_CHECKING:
    from baichuan_jax.lab.markup import Html
    from baichuan_jax.lab.page import Canvas
    from baichuan_jax.lab.run_files import RunRecord
    from baichuan_jax.parallel.layout import Layout
    from baichuan_jax.recipe.run import Run
    from baichuan_jax.recipe.run_config import RunConfig
    from baichuan_jax.train.phases import Phases


@dataclass(frozen=True, kw_only=True)
class TrainResult(StageResult):
    """How training ended, and its speed: medians over the run. With no step taken there is no loss and no speed.

    loss: of the last step, nats per token. validation: {domain: bits per byte} of the last evaluation. mfu_full,
    mfu_causal, hfu: shares of `peak_flops`. remat, compute_dtype: the settings, or what 'auto' has chosen.
    step_memory_bytes, peak_memory_bytes: of a device, as the step was compiled, and as it was measured where that can
    be. mesh: {axis: size}.
    """

    parameters: int
    tokens: int
    steps: int
    loss: float | None = None
    validation: dict[str, float] | None = None
    tokens_per_second: float | None = None
    tokens_per_second_per_device: float | None = None
    mfu_full: float | None = None
    mfu_causal: float | None = None
    hfu: float | None = None
    peak_flops: float | None = None
    peak_source: str | None = None
    mesh: dict[str, int]
    device: str
    remat: str | None = None
    compute_dtype: str | None = None
    step_memory_bytes: int | None = None
    peak_memory_bytes: int | None = None


def build(run: Run, directory: Path) -> TrainResult | None:
    """Train, or go on training, to the last step."""
    spent = run.seconds_spent if may_handle_signals() else process_age()  # a notebook may have been open for days

    import jax

    from baichuan_jax.recipe.trained import make_layout
    from baichuan_jax.train.phases import Phases
    from baichuan_jax.train.summary import untrained

    layout = make_layout(run.config)
    if run.config.train.steps == 0:
        return TrainResult(**untrained(run.config.model, layout))
    if jax.process_index() == 0 and run.pipeline.stage("train").anew:
        (run.workdir / LEDGER).unlink(missing_ok=True)
    with Phases(run.workdir, jax.process_index(), process_age() - spent) as phases:
        return _train(run, directory, layout, phases, spent)


def _train(run: Run, directory: Path, layout: Layout, phases: Phases, spent: float) -> TrainResult | None:
    """Train. spent: seconds of this process before the stage."""
    from baichuan_jax.evaluate.bits import BitsPerByte
    from baichuan_jax.evaluate.heldout import held_out
    from baichuan_jax.tokenizer.shards import TokenStore
    from baichuan_jax.train.hooks import Hooks
    from baichuan_jax.train.input import Batches, local_rows
    from baichuan_jax.train.loop import train
    from baichuan_jax.train.shard_check import verify_shards
    from baichuan_jax.train.step import make_execution

    config, cfg, first = run.config, run.config.train, phases.first
    store = TokenStore(run.place("tokens"))
    batches = Batches(cfg, config.mix, store, local_rows(layout, cfg.batch))
    exe = make_execution(cfg, config.model, layout, domains=len(batches.domains))

    @cache
    def held_out_bits() -> BitsPerByte:
        texts = {domain: held_out(store, domain, cfg.length, cfg.eval_windows) for domain in store.domains}
        return BitsPerByte(config.model, texts, run.tokenizer.byte_lengths(), exe.by_rows, cfg.batch)

    validate = lambda params: held_out_bits()(params)  # made when it is needed: not before the first step of a restart
    progress = run.progress if first else Progress()

    def begun(step: int, told: list[str]) -> None:
        verify_shards(store, config.model.vocab, directory / "shards.json")
        changes = run.pipeline.stage("train").goes_on_from(step, write=first)
        if earlier := earlier_mixtures(changes):
            batches.follow(earlier)
        for line in (*told, *_told(changes, config, step), *batches.notes()):
            progress.note(line)

    @cache
    def about() -> dict[str, Any]:
        return {
            "config": gin_text(config),
            "versions": versions(),
            "code": code_revision().record(),
            "stage_version": run.pipeline.stage("train").version,
        }

    imports = process_age() - spent

    def took(seconds: dict[str, float]) -> None:
        progress.note(first_step_line(process_age() - spent, {"imports": imports, **seconds}))

    sizes = ", ".join(f"TrainConfig.{name} = {getattr(cfg, name)}" for name in ("batch", "length", "accumulate"))
    what = f"{sizes}, DecoderConfig.remat = {config.model.remat!r}"
    remedy = "lower batch or length, raise accumulate, or set remat to 'block'"
    with (
        progress.training(cfg.steps) as report,
        within_memory(what, remedy),
        wandb_board(run, directory, first) as board,
    ):
        hooks = Hooks(report, begun, took, progress.note, about, phases, board)
        found = train(
            cfg,
            config.optim,
            config.model,
            exe,
            batches,
            directory,
            validate,
            hooks,
            config.profile,
            config.retention,
            config.spikes,
        )
        if board:
            board.results(flatten(found))
    return TrainResult(**found) if found else None


@contextmanager
def wandb_board(run: Run, directory: Path, first: bool) -> Iterator[WeightsAndBiases | None]:
    """Open the board that is asked for, in the first process."""
    cfg = run.config.wandb
    if not cfg.project or not first:
        yield None
        return
    config = {type(part).__name__: values(part) for part in parts(run.config)}
    board = WeightsAndBiases(cfg.project, cfg.mode, directory, run.workdir.resolve().name, config)
    try:
        yield board
    finally:
        board.close()


def first_step_line(total: float, seconds: dict[str, float]) -> str:
    """Return what the time to the first finished step went to; a restore goes on beside the compilation."""
    parts = ", ".join(f"{part} {time:.2f}" for part, time in seconds.items())
    return f"first step after {total:.2f} s: {parts}"


def earlier_mixtures(changes: list[Change]) -> list[tuple[int, dict[str, float]]]:
    """Return the weights of the mixture that others have replaced: (step at which they ended, weights)."""
    return [(change["step"], literal_eval(change["before"])) for change in changes if change["setting"] == WEIGHTS]


def _told(changes: list[Change], config: RunConfig, step: int) -> list[str]:
    """Return what is to be said of the changes that hold from the next step on."""
    from baichuan_jax.train.optim import schedule

    now = [change for change in changes if change["step"] == step]
    if not now:
        return []
    before: dict[str, Any] = {change["setting"]: literal_eval(change["before"]) for change in now}
    fields = {name.partition(".")[2]: value for name, value in before.items() if name.startswith("OptimConfig.")}
    old_steps = before.get("TrainConfig.steps", config.train.steps)
    old = float(schedule(replace(config.optim, **fields), old_steps)(step))
    new = float(schedule(config.optim, config.train.steps)(step))
    rate = f"learning rate of step {step + 1}: {old:.3g} before, now {new:.3g}"
    changed = ", ".join(f"{change['setting']} {change['before']} -> {change['after']}" for change in now)
    return [f"from step {step} on: {changed}", rate]


def _check(config: RunConfig) -> None:
    """Raise UserError if there is nothing to start from, or the devices at hand cannot hold what is configured."""
    from baichuan_jax.recipe.trained import make_layout
    from baichuan_jax.train.state import abstract_params
    from baichuan_jax.train.step import check_split

    if config.wandb.project:
        check_wandb(config.wandb.project)
    start = config.train.start
    require(
        not start or bool(checkpoint_steps(Path(start))),
        "TrainConfig.start",
        start,
        "a directory with a finished checkpoint",
    )
    layout = make_layout(config)
    abstract_params(config.model, layout)
    check_split(config.train, config.model, layout)


def _summary(result: TrainResult) -> str:
    if result.steps == 0:
        return f"{result.parameters:,} parameters, as they were"
    return (
        f"{result.parameters:,} parameters, {result.tokens:,} tokens, loss {result.loss:.4f}, "
        f"{result.tokens_per_second:,.0f} tokens/s in {result.compute_dtype}, MFU {result.mfu_full:.1%} (attention in "
        f"full) {result.mfu_causal:.1%} (causal half), HFU {result.hfu:.1%}"
    )


def _section(record: RunRecord, canvas: Canvas) -> list[Html]:
    from baichuan_jax.lab.training import training

    return training(record, canvas)


WEIGHTS = "MixConfig.weights"
# How a model computes, and how it began, is nothing that reads it depends on.
COMPUTED = {"DecoderConfig.init_std", "DecoderConfig.remat", "AttentionConfig.implementation"}
SHAPES = {line.partition(" = ")[0] for part in parts(DecoderConfig()) for line in settings(part)} - COMPUTED

TRAIN = StageSpec(
    "train",
    TrainResult,
    build,
    _summary,
    help="train the decoder, or go on training it",
    sections=(DecoderConfig, MixConfig, TrainConfig, OptimConfig),
    needs=("tokens",),
    report=ReportSection("Training", _section, 20),
    check=_check,
    checkpointed=Checkpointed(
        reached=lambda directory: max(checkpoint_steps(directory / CHECKPOINTS), default=0),
        steps="TrainConfig.steps",
        recorded=(
            "TrainConfig.steps",
            "OptimConfig.peak_lr",
            "OptimConfig.warmup_steps",
            "OptimConfig.schedule",
            "OptimConfig.final_lr_ratio",
            "OptimConfig.decay_share",
            WEIGHTS,
            *(f"TrainConfig.{name}" for name in ("accumulate", "logits_mb", "inner_mb")),  # they round otherwise, and
            "DecoderConfig.remat",  # are what a machine with less memory needs
        ),
        free=tuple(f"TrainConfig.{name}" for name in ("log_every", "eval_every", "checkpoint_every", "keep")),
        advice=f"Another run can start from its weights: --set TrainConfig.start={{}}/{CHECKPOINTS}",
    ),
    shapes=frozenset(SHAPES),
    multi_process=True,
    changes=("the cosine of the learning rate ends at the last step", "sequences come in another order"),
)
