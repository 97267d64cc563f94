"""Stage tokenizer: the corpus to a trained tokenizer."""

from __future__ import annotations

from pathlib import Path

from baichuan_jax.cli.progress import units_progress
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.tokenizer.stages import build_tokenizer


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Trains the tokenizer, or takes the one that the config names."""
    with units_progress("tokenizer") as progress:
        return build_tokenizer(config.tokenizer, workdir / "data", directory, progress)
