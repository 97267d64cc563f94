"""Stage generate: continuations of the config's prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.recipe.spec import ReportSection, StageResult, StageSpec

if TYPE_CHECKING:
    from baichuan_jax.lab.markup import Html
    from baichuan_jax.lab.page import Canvas
    from baichuan_jax.lab.run_files import RunRecord
    from baichuan_jax.recipe.run import Run


class Sample(TypedDict):
    """A prompt, and what the model made of it."""

    prompt: str
    text: str


@dataclass(frozen=True, kw_only=True)
class GenerateResult(StageResult):
    """Continuations of SampleConfig.prompts."""

    samples: list[Sample]


def build(run: Run, directory: Path) -> GenerateResult:
    """Continue every prompt of the config."""
    from baichuan_jax.generate.generate import generate
    from baichuan_jax.recipe.trained import load_trained, make_engine

    cfg = run.config.sample
    if not cfg.prompts:
        return GenerateResult(samples=[])
    trained = load_trained(run.config, run.progress)
    with run.progress.status("writing samples"):
        texts = generate(make_engine(run.config, trained), trained.tokenizer, cfg.prompts, cfg)
    return GenerateResult(samples=[Sample(prompt=prompt, text=text) for prompt, text in zip(cfg.prompts, texts)])


def _section(record: RunRecord, canvas: Canvas) -> list[Html]:
    from baichuan_jax.lab.outcome import samples

    return samples(record, canvas)


GENERATE = StageSpec(
    "generate",
    GenerateResult,
    build,
    lambda result: f"{len(result.samples)} samples",
    help="continue the config's prompts, or --prompt TEXT, --file FILE, or what you type",
    sections=(SampleConfig,),
    needs=("train", "tune"),
    report=ReportSection("Samples", _section, 30),
    reads_only=True,
)
