"""Stage tokens: the corpus to token shards."""

from __future__ import annotations

from pathlib import Path

from baichuan_jax.cli.progress import units_progress
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.tokenizer.stages import build_tokens


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Encode the corpus."""
    with units_progress("tokens") as progress:
        return build_tokens(
            config.tokenizer,
            config.runner,
            workdir / "data",
            workdir / "tokenizer",
            directory,
            lambda done, count: progress("shards", done, count),
        )
