"""Stage tokens: the corpus to token shards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_jax.recipe.spec import StageResult, StageSpec

if TYPE_CHECKING:
    from baichuan_jax.recipe.run import Run


@dataclass(frozen=True, kw_only=True)
class TokensResult(StageResult):
    """How many tokens there are. domains: {domain: {split: {documents, tokens}}}."""

    domains: dict[str, dict[str, dict[str, int]]]
    tokens: int
    tokens_per_second: float


def build(run: Run, directory: Path) -> TokensResult:
    """Encode the corpus."""
    from baichuan_jax.tokenizer.stages import build_tokens

    corpus, model = run.place("data"), run.place("tokenizer")
    with run.progress.units("tokens") as tell:
        progress = lambda done, count: tell("shards", done, count)
        found = build_tokens(run.config.tokenizer, run.config.runner, corpus, model, directory, progress)
    return TokensResult(**found)


TOKENS = StageSpec(
    "tokens",
    TokensResult,
    build,
    lambda result: f"{result.tokens:,} tokens, {result.tokens_per_second / 1e6:.2f} M/s",
    verb="tokenizer",
    needs=("data", "tokenizer"),
    unfinished="resume",
    changes=("a text begins with <s> only where its tokenizer says so",),
)
