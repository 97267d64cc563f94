"""Stage tokenizer: the corpus to a trained tokenizer."""

from __future__ import annotations

from pathlib import Path

from baichuan_jax.cli.progress import status
from baichuan_jax.cli.run_config import RunConfig
from baichuan_jax.tokenizer.stages import build_tokenizer


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Trains the tokenizer."""
    cfg = config.tokenizer
    with status(f"taking the tokenizer {cfg.model}" if cfg.model else f"training a tokenizer of {cfg.vocab} pieces"):
        return build_tokenizer(cfg, workdir / "data", directory)
