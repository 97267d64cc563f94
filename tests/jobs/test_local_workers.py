"""Tasks on this machine: done once, redone if killed, and gone when their driver is."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.runner import Runner
from tests.jobs.jobs import Squares, processes, run, squares, times

ALL = [0, 1, 4, 9, 16]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once_and_nothing_is_printed(tmp_path, workers, capfd):
    shown = run(tmp_path, "well", workers=workers)
    assert squares(tmp_path) == ALL
    assert shown == [(done, 5) for done in range(6)]
    assert run(tmp_path, "well", workers=3 - workers) == [(5, 5)]
    assert set(times(tmp_path).values()) == {1}
    here = {os.getpid()}
    assert ({pid for pids in processes(tmp_path).values() for pid in pids} == here) == (workers == 1)
    printed = capfd.readouterr()
    assert printed.err == ""
    assert printed.out == ("a word\n" * 5 if workers == 1 else "")


def test_workers_stay_from_phase_to_phase_and_do_not_load_jax(tmp_path):
    with Runner(RunnerConfig(workers=2), tmp_path / "engine") as runner:
        for phase in ("a", "b"):
            (tmp_path / phase).mkdir()
            runner.run(phase, Squares(tmp_path / phase, "without_jax"), 5)
    first, second = ({pid for pids in processes(tmp_path / phase).values() for pid in pids} for phase in ("a", "b"))
    assert len(first | second) <= 2
    wait_until_gone(first | second)


def test_the_task_of_a_killed_worker_is_redone(tmp_path):
    assert run(tmp_path, "killed_once", workers=2)[-1] == (5, 5)
    assert squares(tmp_path) == ALL
    assert times(tmp_path) == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1}


def test_a_task_that_loses_its_worker_every_time_is_given_up(tmp_path):
    message = (
        r"the process of task 2 of phase 'squares' died 3 times \(last: killed by SIGKILL\), possibly for lack of mem"
    )
    with pytest.raises(UserError, match=message):
        run(tmp_path, "killed_always", workers=2)
    assert times(tmp_path)[2] == 3
    assert not (tmp_path / "out" / "00002").exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("wrong", UserError, "line 1 of a.jsonl is wrong"),
        ("full", OSError, "No space left"),
        ("broken", ZeroDivisionError, "by zero"),
    ],
)
def test_a_failure_is_raised_as_it_was_and_leaves_nothing(tmp_path, workers, how, kind, message):
    with pytest.raises(kind, match=message) as caught:
        run(tmp_path, how, workers=workers)
    if kind is OSError:
        assert caught.value.errno == errno.ENOSPC
    assert workers == 1 or "in __call__" in str(caught.value.__cause__)
    assert not list((tmp_path / "out").glob("00001*"))
    run(tmp_path, "well")
    assert squares(tmp_path) == ALL
    assert times(tmp_path)[1] == 2


def test_what_cannot_be_sent_to_a_worker_is_an_error_with_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if Path(entry) != Path(__file__).parents[2]])
    with pytest.raises(ModuleNotFoundError) as caught:
        run(tmp_path, "well", workers=2)
    assert "worker_process.py" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("how", "workers", "number"),
    [
        ("slow", 1, signal.SIGTERM),
        ("slow_with_child", 2, signal.SIGINT),
        ("slow_with_child", 2, signal.SIGKILL),
    ],
)
def test_a_driver_that_is_stopped_takes_its_workers_along(tmp_path, how, workers, number):
    command = [
        sys.executable,
        "-c",
        "from tests.jobs.jobs import drive; drive()",
        str(tmp_path),
        how,
        str(workers),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as driver:
        wait_until(lambda: list(times(tmp_path).values()) == [1 + (workers > 1)] * workers)
        driver.send_signal(number)
        _, printed = driver.communicate(timeout=10)
    assert driver.returncode == (-signal.SIGKILL if number == signal.SIGKILL else -signal.SIGINT)
    assert ("KeyboardInterrupt" in printed) == (number != signal.SIGKILL)
    wait_until_gone({pid for pids in processes(tmp_path).values() for pid in pids})
    (tmp_path / "go").touch()
    subprocess.run(command, check=True, timeout=60)
    assert squares(tmp_path) == ALL


def wait_until_gone(pids):
    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))  # a zombie has no exe


def wait_until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
