"""Stage report: everything the other stages left behind, as one page."""

from __future__ import annotations

from pathlib import Path

from baichuan_jax.lab.report import write_report
from baichuan_jax.recipe.run_config import RunConfig


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Write report.html and its plots."""
    return write_report(workdir, directory)
