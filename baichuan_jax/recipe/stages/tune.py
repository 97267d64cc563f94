"""Stage tune: the trained model and conversations to a model that answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_jax.chat.config import AUTO, ChatConfig
from baichuan_jax.config.literal import gin_text
from baichuan_jax.core.checkpointed import Checkpointed
from baichuan_jax.core.checksums import MANIFEST
from baichuan_jax.core.errors import require
from baichuan_jax.core.memory import within_memory
from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.core.stage import versions
from baichuan_jax.model.config import DecoderConfig, LoraConfig
from baichuan_jax.recipe.progress import Progress
from baichuan_jax.recipe.spec import Grid, ReportSection, StageResult, StageSpec
from baichuan_jax.recipe.stages.tokenizer import tokenizer_place
from baichuan_jax.recipe.stages.train import SHAPES
from baichuan_jax.train.config import CHECKPOINTS, checkpoint_steps
from baichuan_jax.tune.config import TuneConfig
from baichuan_jax.tune.data_config import InstructionConfig

if TYPE_CHECKING:
    from baichuan_jax.lab.markup import Html
    from baichuan_jax.lab.page import Canvas
    from baichuan_jax.lab.run_files import RunRecord
    from baichuan_jax.parallel.layout import Layout
    from baichuan_jax.recipe.run import Run
    from baichuan_jax.recipe.run_config import RunConfig


UNIT = "nats per held-out response token"


@dataclass(frozen=True, kw_only=True)
class TuneResult(StageResult):
    """How tuning ended.

    parameters: of what was tuned, adapters or all. conversations: that were trained on. held_out, held_out_before:
    {source: loss on held-out responses in nats per token}, at the end and before the first step. loss: on the responses
    of the last step. tokens_per_second: of positions, padding too.
    """

    parameters: int
    base_parameters: int
    mesh: dict[str, int]
    device: str
    steps: int
    conversations: int = 0
    loss: float | None = None
    held_out_before: dict[str, float] = field(default_factory=dict)
    held_out: dict[str, float] = field(default_factory=dict)
    tokens_per_second: float | None = None
    step_memory_bytes: int | None = None
    compute_dtype: str | None = None


def build(run: Run, directory: Path) -> TuneResult | None:
    """Tune, or go on tuning, to the last step."""
    import jax

    from baichuan_jax.model.fingerprint import fingerprint
    from baichuan_jax.recipe.adapters import check_goes_on
    from baichuan_jax.recipe.checkpoints import base_checkpoints
    from baichuan_jax.recipe.trained import load_base, make_layout
    from baichuan_jax.train.adapt import adapt
    from baichuan_jax.train.hooks import Hooks
    from baichuan_jax.train.input import local_rows
    from baichuan_jax.train.loop import train
    from baichuan_jax.train.step import make_execution
    from baichuan_jax.tune.batches import SampleBatches, held_out_batches
    from baichuan_jax.tune.faults import tally_lines
    from baichuan_jax.tune.prepare import prepare, prepared_in
    from baichuan_jax.tune.response_loss import ResponseLoss

    config, cfg, data = run.config, run.config.tune, run.config.instruction
    layout, model_cfg = make_layout(config), config.model
    if config.lora.adapter:
        return _as_it_is(config, layout)
    train_cfg = cfg.train(config.train, str(base_checkpoints(config)))
    progress = run.progress if jax.process_index() == 0 else Progress()
    with progress.units("reading conversations") as tell:
        make = lambda: prepare(data, run.chat_template, cfg.length, tell)
        samples, tallies = prepared_in(directory, make, write=jax.process_index() == 0)
    batches = SampleBatches(
        samples,
        cfg.batch,
        cfg.length,
        cfg.seed,
        packing=data.packing,
        weights=data.weights,
        rows=local_rows(layout, cfg.batch),
    )
    exe = make_execution(train_cfg, model_cfg, layout, domains=len(batches.domains))
    adaptation, base = None, ""
    if config.lora.rank:
        with progress.status("loading the base"):
            params = load_base(config, layout)
            base = fingerprint(params)
            check_goes_on(config, base)
            adaptation = adapt(config.lora, model_cfg, params, exe.dtype)

    @cache
    def response_loss() -> ResponseLoss:
        shards = layout.by_rows.batch_shards
        size = -(-cfg.batch // shards) * shards
        held_out = list(held_out_batches(samples, size, cfg.length, packing=data.packing))
        return ResponseLoss(model_cfg, batches.domains, held_out, exe, adaptation)

    def begun(step: int, told: list[str]) -> None:
        changes = run.pipeline.stage("tune").goes_on_from(step, write=jax.process_index() == 0)
        changed = [
            f"from step {step} on: {change['setting']} {change['before']} -> {change['after']}" for change in changes
        ]
        for line in (*tally_lines(tallies), *batches.notes(), *told, *changed):
            progress.note(line)

    def about() -> dict[str, Any]:
        return {"config": gin_text(config), "versions": versions(), "base": base}

    what = f"TuneConfig.batch = {cfg.batch}, length = {cfg.length}, accumulate = {cfg.accumulate}"
    with (
        progress.training(cfg.steps) as report,
        within_memory(what, "lower batch or length, raise accumulate, or set LoraConfig.rank"),
    ):
        found = train(
            train_cfg,
            cfg.optim(),
            model_cfg,
            exe,
            batches,
            directory,
            lambda params: response_loss()(params),
            Hooks(lambda record: report({**record, "unit": UNIT}), begun, note=progress.note, about=about),
            adaptation=adaptation,
        )
    return _result(found, directory, config, tallies) if found else None


def _as_it_is(config: RunConfig, layout: Layout) -> TuneResult:
    """Return the result of no tuning: the model has an adapter that is there."""
    import jax

    from baichuan_jax.convert.peft import read_adapter
    from baichuan_jax.train.summary import untrained

    adapters = read_adapter(Path(config.lora.adapter), config.model).adapters
    found = untrained(config.model, layout)
    return TuneResult(
        parameters=sum(leaf.size for leaf in jax.tree.leaves(adapters)),
        base_parameters=found["parameters"],
        **{name: found[name] for name in ("steps", "mesh", "device")},
    )


def _result(found: dict[str, Any], directory: Path, config: RunConfig, tallies: dict[str, Any]) -> TuneResult:
    from baichuan_jax.model.lora import adapter_count

    measured = [record["validation"] for record in read_metrics(directory) if "validation" in record]
    parameters = adapter_count(config.lora, config.model) if config.lora.rank else found["parameters"]
    kept = ("loss", "tokens_per_second", "step_memory_bytes", "compute_dtype", "steps", "mesh", "device")
    return TuneResult(
        parameters=parameters,
        base_parameters=found["parameters"],
        conversations=sum(tally["kept"] - tally["held_out"] for tally in tallies.values()),
        held_out_before=measured[0] if measured else {},
        held_out=measured[-1] if measured else {},
        **{name: found[name] for name in kept},
    )


def _check(config: RunConfig) -> None:
    """Raise UserError if there is nothing to tune or to tune on, or the devices at hand cannot hold it."""
    from baichuan_jax.convert.peft import read_adapter
    from baichuan_jax.model.lora import adapted_weights
    from baichuan_jax.recipe.checkpoints import base_checkpoints
    from baichuan_jax.recipe.trained import make_layout
    from baichuan_jax.train.state import abstract_params
    from baichuan_jax.train.step import check_split

    if config.lora.adapter:
        read_adapter(Path(config.lora.adapter), config.model)
        return
    sources = config.instruction.sources
    require(bool(sources), "InstructionConfig.sources", sources, "at least one source: {'mine': 'chats/*.jsonl'}")
    length, context = config.tune.length, config.model.context
    require(length <= context, "TuneConfig.length", length, f"at most DecoderConfig.context = {context}")
    start = base_checkpoints(config)
    expected = "a directory with a finished checkpoint"
    require(config.train.steps > 0 or bool(checkpoint_steps(start)), "TrainConfig.start", str(start), expected)
    if config.lora.rank:
        adapted_weights(config.lora, config.model)
    layout = make_layout(config)
    abstract_params(config.model, layout)
    check_split(config.tune.train(config.train, ""), config.model, layout)


def _files(config: RunConfig) -> tuple[Path | str, ...]:
    """Return the conversations, the chat template, and of a base that no stage of the run makes what tells it apart."""
    from baichuan_jax.tune.prepare import instruction_files

    if config.lora.adapter:
        return config.lora.adapter_files
    conversations = (file for files in instruction_files(config.instruction).values() for file in files)
    return (*conversations, *_template_files(config), *(() if config.train.steps else _base_files(config)))


def _template_files(config: RunConfig) -> tuple[Path, ...]:
    from baichuan_jax.tokenizer.special_tokens import CHAT_TEMPLATE, CONFIG
    from baichuan_jax.tokenizer.tokenizer_files import tokenizer_file

    if config.chat.template != AUTO:
        return ()
    place = tokenizer_file(tokenizer_place(config))
    return tuple(file for name in (CHAT_TEMPLATE, CONFIG) if (file := place.with_name(name)).is_file())


def _base_files(config: RunConfig) -> tuple[Path, ...]:
    from baichuan_jax.recipe.checkpoints import base_checkpoints
    from baichuan_jax.tokenizer.tokenizer_files import tokenizer_file

    start = base_checkpoints(config)
    newest = start / str(max(checkpoint_steps(start), default=0))
    told = (newest / MANIFEST, newest / "params/manifest.ocdbt")  # the second names files that are written once
    return (*(file for file in told if file.is_file()), tokenizer_file(tokenizer_place(config)))


def _summary(result: TuneResult) -> str:
    share = f"{result.parameters:,} of {result.base_parameters:,} parameters"
    if result.steps == 0:
        return f"{share} from an adapter, as they were"
    what = "all parameters" if result.parameters == result.base_parameters else share
    return (
        f"{what} on {result.conversations:,} conversations, loss {result.loss:.4f}, "
        f"{result.tokens_per_second:,.0f} tokens/s"
    )


def _table(result: TuneResult) -> Grid:
    rows = [
        (source, f"{result.held_out_before[source]:.4f}", f"{after:.4f}") for source, after in result.held_out.items()
    ]
    return Grid(("source", "before", "after"), rows, UNIT)


def _section(record: RunRecord, canvas: Canvas) -> list[Html]:
    from baichuan_jax.lab.tuning import tuning

    return tuning(record, canvas)


TUNE = StageSpec(
    "tune",
    TuneResult,
    build,
    _summary,
    help="tune the trained model on conversations (InstructionConfig.sources), or adapters (LoraConfig.rank); `tune "
    "inspect` shows what conversations become",
    sections=(DecoderConfig, InstructionConfig, ChatConfig, TuneConfig, LoraConfig),
    needs=lambda config: ("train",) if config.train.steps else (),
    table=_table,
    report=ReportSection("Tuning", _section, 25),
    files=_files,
    check=_check,
    wanted=lambda config: bool(config.instruction.sources or config.lora.adapter),
    checkpointed=Checkpointed(
        reached=lambda directory: max(checkpoint_steps(directory / CHECKPOINTS), default=0),
        steps="TuneConfig.steps",
        recorded=(
            *(f"TuneConfig.{name}" for name in ("steps", "peak_lr", "warmup_steps", "schedule", "accumulate")),
            "DecoderConfig.remat",
        ),
        free=("TuneConfig.eval_every", "TuneConfig.checkpoint_every"),
    ),
    shapes=frozenset(SHAPES),
    multi_process=True,
    changes=("the decoder, a foreign base and the chat template are on record",),
)
