"""Stage tokenizer: the corpus to a trained tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.recipe.spec import ReportSection, StageResult, StageSpec
from baichuan_jax.tokenizer.config import TokenizerConfig

if TYPE_CHECKING:
    from baichuan_jax.lab.markup import Html
    from baichuan_jax.lab.page import Canvas
    from baichuan_jax.lab.run_files import RunRecord
    from baichuan_jax.recipe.run import Run
    from baichuan_jax.recipe.run_config import RunConfig
    from baichuan_jax.tokenizer.interface import AnyTokenizer


@dataclass(frozen=True, kw_only=True)
class TokenizerResult(StageResult):
    """How many ids there are, and how far held-out text shrinks.

    begin: ids that begin a text; runs made before TokenizerConfig.bos have none on record. compression: {domain:
    {bytes_per_token, tokens_per_character}}. sample, training_seconds: of one that was trained here. file: the name of
    one that was not.
    """

    vocab: int
    begin: list[int] | None = None
    compression: dict[str, dict[str, float]]
    sample: dict[str, Any] | None = None
    training_seconds: float | None = None
    file: str | None = None


def build(run: Run, directory: Path) -> TokenizerResult:
    """Train the tokenizer, or take the one that the config names."""
    from baichuan_jax.tokenizer.stages import build_tokenizer

    with run.progress.units("tokenizer") as tell:
        return TokenizerResult(**build_tokenizer(run.config.tokenizer, run.place("data"), directory, tell))


def tokenizer_place(config: RunConfig) -> Path:
    """Return where the run's tokenizer is: a file, or the directory of its own, or of its copy of a lost file."""
    from baichuan_jax.recipe.pipeline import Pipeline

    file, own = Path(config.tokenizer.file), Pipeline(config).place("tokenizer")
    return file if config.tokenizer.file and (file.exists() or not own.is_dir()) else own


def load_run_tokenizer(config: RunConfig) -> AnyTokenizer:
    """Return the run's tokenizer, which begins texts as it did when the run was trained."""
    from baichuan_jax.recipe.pipeline import Pipeline
    from baichuan_jax.tokenizer.stages import stage_bos
    from baichuan_jax.tokenizer.tokenizer_files import load_tokenizer

    asked = config.tokenizer.bos
    trained_with = stage_bos(Pipeline(config).place("tokenizer")) if config.train.steps else None
    if trained_with and asked != "auto" and (asked == "off") != (trained_with == "off"):
        had = "nothing" if trained_with == "off" else "the id that begins a text"
        raise UserError(
            f"TokenizerConfig.bos = {asked!r}: this run was trained with {had} before every text; set it to 'auto', or "
            "choose another directory (--set RunConfig.workdir=...)"
        )
    return load_tokenizer(tokenizer_place(config), trained_with or asked)


def _files(config: RunConfig) -> tuple[Path, ...]:
    return (Path(config.tokenizer.file),) if config.tokenizer.file else ()


def _check(config: RunConfig) -> None:
    """Raise UserError if the tokenizer that the config names is not there."""
    file = config.tokenizer.file
    require(
        not file or Path(file).exists(), "TokenizerConfig.file", file, "a tokenizer's file that exists, or '' to train"
    )


def _summary(result: TokenizerResult) -> str:
    rates = ", ".join(f"{name} {rate['bytes_per_token']:.2f}" for name, rate in result.compression.items())
    return f"{result.vocab:,} ids; bytes per token held out: {rates}"


def _section(record: RunRecord, canvas: Canvas) -> list[Html]:
    from baichuan_jax.lab.corpus import tokenizer

    return tokenizer(record, canvas)


TOKENIZER = StageSpec(
    "tokenizer",
    TokenizerResult,
    build,
    _summary,
    help="train the tokenizer and encode the corpus",
    sections=(TokenizerConfig,),
    needs=("data",),
    report=ReportSection("Tokenizer", _section, 41),
    files=_files,
    check=_check,
    changes=("tokenizer.json gives SentencePiece's ids for any text",),
)
