"""Runs whose stages make nothing."""

from dataclasses import replace

import pytest

from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.progress import PrintProgress
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.spec import StageResult
from baichuan_jax.recipe.table import STAGES
from tests.cli.small import write_config


@pytest.fixture
def made(monkeypatch):
    """Have every stage make nothing but a note of it; return the notes: (name of the run, stage)."""
    made = []

    def build_of(name):
        return lambda run, directory: made.append((run.workdir.name, name))

    for name, spec in list(STAGES.items()):
        fake = replace(spec, build=build_of(name), result=StageResult, summary=lambda result: "", table=None)
        monkeypatch.setitem(STAGES, name, replace(fake, check=lambda config: None))
    return made


@pytest.fixture
def new_run(tmp_path):
    """Return new_run(name, {setting: value}), which has an attribute `notes`."""
    config = write_config(tmp_path)

    def new(name: str, settings: dict | None = None, base: str = "") -> Run:
        given = {"RunConfig.workdir": tmp_path / "runs" / name, "RunConfig.base": base and tmp_path / "runs" / base}
        notes = []
        run = Run(load_config(config, given | (settings or {})), PrintProgress(write=notes.append))
        run.notes = notes
        return run

    return new
