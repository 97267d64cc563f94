"""Stage evaluate: the trained model against held-out text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from baichuan_jax.core.files import write_json
from baichuan_jax.evaluate.config import EvaluateConfig
from baichuan_jax.recipe.spec import Grid, ReportSection, StageResult, StageSpec

if TYPE_CHECKING:
    from baichuan_jax.lab.markup import Html
    from baichuan_jax.lab.page import Canvas
    from baichuan_jax.lab.run_files import RunRecord
    from baichuan_jax.recipe.run import Run


WINDOWS = "windows.json"  # bits and bytes of each held-out window, by which runs are compared


class DomainBits(TypedDict):
    """Held-out bits per byte of a domain, of the model and of two baselines, and the size of the text."""

    bits_per_byte: float
    unigram: float
    zstd: float
    by_position: list[dict[str, float]]
    bytes: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class EvaluateResult(StageResult):
    """Held-out bits per byte of every domain."""

    domains: dict[str, DomainBits]


def build(run: Run, directory: Path) -> EvaluateResult:
    """Measure bits per byte of every domain, beside the baselines."""
    import jax

    from baichuan_jax.evaluate.stage import evaluate
    from baichuan_jax.recipe.trained import load_params, make_layout
    from baichuan_jax.tokenizer.shards import TokenStore
    from baichuan_jax.train.step import make_execution

    config, layout = run.config, make_layout(run.config)
    exe, store = (
        make_execution(config.train, config.model, layout, trains=False).by_rows,
        TokenStore(run.place("tokens")),
    )
    params = load_params(config, layout.by_rows, run.progress)
    with run.progress.status("scoring held-out text"):
        found, windows = evaluate(config.evaluate, config.model, params, store, run.tokenizer, exe)
    if jax.process_index() == 0:
        write_json(directory / WINDOWS, windows)
    return EvaluateResult(**found)


def _summary(result: EvaluateResult) -> str:
    return f"{sum(row['bytes'] for row in result.domains.values()):,} bytes of held-out text"


def _table(result: EvaluateResult) -> Grid:
    rows = [
        (domain, f"{row['bits_per_byte']:.3f}", f"{row['unigram']:.3f}", f"{row['zstd']:.3f}")
        for domain, row in result.domains.items()
    ]
    return Grid(("domain", "model", "unigram", "zstd -19"), rows, "held-out bits per byte")


def _section(record: RunRecord, canvas: Canvas) -> list[Html]:
    from baichuan_jax.lab.outcome import bits_per_byte

    return bits_per_byte(record, canvas)


EVALUATE = StageSpec(
    "evaluate",
    EvaluateResult,
    build,
    _summary,
    help="held-out bits per byte, beside baselines, or --tasks mmlu,ceval-valid: the field's tests",
    sections=(EvaluateConfig,),
    needs=("train", "tune"),
    table=_table,
    report=ReportSection("Bits per byte", _section, 10),
    multi_process=True,
    reads_only=True,
)
