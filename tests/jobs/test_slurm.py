"""Job arrays: submitted, watched, submitted again. By default on a stub that runs them as local processes."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.jobs import slurm
from baichuan_jax.jobs.phase import Phase
from baichuan_jax.jobs.task_outcome import Failure
from tests.jobs.jobs import Squares, processes, run, squares, times

DRIVER = """
import sys
from pathlib import Path
from baichuan_jax.core.interrupt import taking_signals
from tests.jobs.jobs import run
with taking_signals():
    run(Path(sys.argv[1]), "slow", count=2, kind="slurm", partition=sys.argv[2], memory=1)
"""


def script(directory):
    return (directory / "engine/squares/launch_script.slurm").read_text()


def test_a_lost_task_is_submitted_again(tmp_path, partition, capfd):
    shown = run(tmp_path, "killed_once", count=4, kind="slurm", partition=partition, workers=2, memory=1)
    assert squares(tmp_path) == [0, 1, 4, 9]
    assert times(tmp_path) == {0: 1, 1: 1, 2: 2, 3: 1}
    assert shown[0] == (0, 4)
    assert shown[-1] == (4, 4)
    assert shown == sorted(shown)
    assert "#SBATCH --array=0-0%2" in script(tmp_path)  # of the second submission
    assert f"#SBATCH --partition={partition}" in script(tmp_path)
    assert "#SBATCH --mem-per-cpu=1G" in script(tmp_path)
    assert "#SBATCH --time=04:00:00" in script(tmp_path)
    assert f"export PATH={Path(sys.executable).parent}:" in script(tmp_path)
    assert run(tmp_path, "killed_once", count=4, kind="local") == [(4, 4)]
    assert capfd.readouterr().err == ""


def test_the_first_error_ends_the_array(tmp_path, partition):
    with pytest.raises(UserError, match=r"line 1 of a\.jsonl is wrong"):
        run(tmp_path, "wrong", count=40, kind="slurm", partition=partition, memory=1)
    assert len(times(tmp_path)) < 40
    assert not list((tmp_path / "out").glob("00001"))


def test_tasks_that_get_lost_every_time_are_given_up(tmp_path, partition):
    with pytest.raises(
        UserError, match=r"2 tasks of phase 'squares' \(first: 0\) ended 3 times .*slurm_logs/\d+_\d\.out"
    ):
        run(tmp_path, "well", count=2, kind="slurm", partition=partition, memory=1, setup="exit 1")
    assert "exit 1" in script(tmp_path)


def test_jobs_end_with_the_driver_or_when_the_next_one_starts(tmp_path, partition):
    command = [sys.executable, "-c", DRIVER, str(tmp_path), partition]
    for stop in (subprocess.Popen.kill, subprocess.Popen.terminate):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
            began = len(started(tmp_path))
            wait_until(lambda began=began: len(started(tmp_path)) > began)
            stop(driver)
    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in started(tmp_path)))
    (tmp_path / "go").touch()
    run(tmp_path, "slow", count=2, kind="slurm", partition=partition, memory=1)
    assert squares(tmp_path) == [0, 1]


def started(directory):
    return [pid for pids in processes(directory).values() for pid in pids]


def wait_until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_submission_that_slurm_refuses(tmp_path, partition, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sbatch").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "bin/sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(UserError, match=r"sbatch refused .*launch_script\.slurm \(exit code 3\)"):
        run(tmp_path, "well", kind="slurm", partition=partition)


def test_without_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sbatch is not installed"):
        run(tmp_path, "well", kind="slurm", partition="some")


def test_a_failure_is_left_even_if_the_disk_is_full(tmp_path, monkeypatch):
    phase = Phase("squares", Squares(tmp_path), 8, tmp_path)
    slurm._leave(Failure.of(ZeroDivisionError("by zero")), tmp_path / "failures/00007.pickle")
    with pytest.raises(ZeroDivisionError, match="by zero"):
        slurm._raise_failure(phase)

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    slurm._leave(Failure.of(ZeroDivisionError()), tmp_path / "failures/00002.pickle")
    with pytest.raises(OSError, match="No space left") as caught:
        slurm._raise_failure(phase)
    assert caught.value.errno == errno.ENOSPC
