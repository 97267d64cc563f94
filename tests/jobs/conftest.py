"""Worker processes import the tasks of these tests as `tests.jobs.jobs`."""

from pathlib import Path

import pytest

from tests.jobs.cluster import partition

__all__ = ["partition"]


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    root = str(Path(__file__).parents[2])
    monkeypatch.syspath_prepend(root)
    monkeypatch.setenv("PYTHONPATH", root)  # for drivers and jobs
