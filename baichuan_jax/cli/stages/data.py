"""Stage data: sources to the cleaned corpus."""

from __future__ import annotations

from pathlib import Path

from baichuan_jax.cli.progress import data_progress
from baichuan_jax.cli.run_config import RunConfig
from baichuan_jax.data import clean


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Cleans every domain."""
    with data_progress() as progress:
        return clean.build(config.data, directory, progress)
