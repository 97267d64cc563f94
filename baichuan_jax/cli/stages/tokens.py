"""Stage tokens: the corpus to token shards."""

from __future__ import annotations

from pathlib import Path

from baichuan_jax.cli.progress import status
from baichuan_jax.cli.run_config import RunConfig
from baichuan_jax.tokenizer.stages import MODEL, build_tokens


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Encodes the corpus."""
    with status("encoding the corpus"):
        return build_tokens(config.tokenizer, workdir / "data", workdir / "tokenizer" / MODEL, directory)
