"""A Slurm to submit to: a stub by default."""

import os
import subprocess
from pathlib import Path

import pytest

from baichuan_jax.jobs import slurm

STUB = Path(__file__).parent / "slurm_stub"


@pytest.fixture(params=["stub", pytest.param("real", marks=pytest.mark.slurm)])
def partition(request, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "POLL", 0.1)
    if request.param == "stub":
        monkeypatch.setenv("PATH", f"{STUB}:{os.environ['PATH']}")
        monkeypatch.setenv("SLURM_STUB", str(tmp_path / "stub"))
        (tmp_path / "stub").mkdir()
        return "some"
    try:
        answer = subprocess.run(["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no Slurm answers here")
    return answer.stdout.split()[0]
