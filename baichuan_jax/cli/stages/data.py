"""Stage data: sources to the cleaned corpus."""

from __future__ import annotations

from pathlib import Path

from baichuan_jax.cli.progress import data_progress
from baichuan_jax.data.flow.build import build as build_corpus
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.recipe.run_config import RunConfig


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Clean every domain."""
    cfg = CorpusConfig(config.data, config.filters, config.quality, config.dedup, config.select)
    with data_progress() as progress:
        return build_corpus(cfg, config.runner, directory, progress)
