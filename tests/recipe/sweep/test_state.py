"""States on file, deaths of processes, and how many points a machine has room for."""

import sys
from dataclasses import replace

import pytest

from baichuan_jax.core import machine
from baichuan_jax.core.lock import exclusive
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.sweep import runner, task
from baichuan_jax.recipe.sweep.config import SweepConfig
from baichuan_jax.recipe.sweep.plan import Plan
from baichuan_jax.recipe.sweep.runner import points_at_once
from baichuan_jax.recipe.sweep.state import PointState, States
from baichuan_jax.recipe.sweep.task import PointTask


def test_a_point_is_running_while_its_process_holds_the_lock(tmp_path):
    states = States(tmp_path)
    states.directory.mkdir()
    assert states.now("0000") == "waiting"
    states.write("0000", PointState("running", started="now"))
    with exclusive(states.lock("0000")):
        assert states.now("0000") == "running"
    assert states.now("0000") == "waiting", "its process was killed"
    states.write("0000", PointState("done", figures={"a": 1.5}))
    assert (states.now("0000"), states.read("0000").figures) == ("done", {"a": 1.5})


def test_errors_are_alike_if_they_are_equal(tmp_path):
    states, names = States(tmp_path), [f"{number:04}" for number in range(5)]
    for name, error in zip(names, ("x", "y", "x")):
        states.write(name, PointState("failed", error=error))
    assert states.repeated_failure(names) == ""
    states.write(names[3], PointState("waiting", error="x"))
    assert states.repeated_failure(names) == "", "it is tried anew"
    states.write(names[3], PointState("failed", error="x"))
    assert states.repeated_failure(names) == "x"


@pytest.mark.parametrize(
    ("program", "error"),
    [
        (
            "import os; print('so far', flush=True); os.kill(os.getpid(), 9)",
            "killed by SIGKILL, as happens where memory",
        ),
        ("print('so far'); raise SystemExit(7)", "exit code 7"),
    ],
)
def test_a_process_that_dies_fails_its_point(tmp_path, monkeypatch, program, error):
    monkeypatch.setattr(task, "CHILD", (sys.executable, "-c", program))
    states = States(tmp_path)
    states.directory.mkdir()
    PointTask(str(tmp_path), ("0000", "0001"), cores=1)(1)
    state = states.read("0001")
    assert (states.now("0000"), state.state) == ("waiting", "failed")
    assert error in state.error
    assert state.trace == "so far", "what it printed last"


@pytest.mark.parametrize(
    ("cfg", "room", "expected"),
    [
        ({}, (8, 64), 8),
        ({"point_cores": 3}, (8, 64), 2),
        ({}, (8, 9), 2),
        ({"cores": 3}, (8, 64), 3),
        ({"memory": 12}, (8, 64), 3),
        ({}, (1, 1), 1),
    ],
)
def test_points_at_once_fit_cores_and_memory(tmp_path, monkeypatch, cfg, room, expected):
    monkeypatch.setattr(runner, "has_accelerator", lambda: False)
    monkeypatch.setattr(runner, "usable_cores", lambda: room[0])
    monkeypatch.setattr(runner, "free_memory", lambda: room[1] << 30)
    plan = Plan(tmp_path, load_config(), SweepConfig(**cfg), ())
    assert points_at_once(plan) == expected
    monkeypatch.setattr(runner, "has_accelerator", lambda: True)
    assert points_at_once(plan) == 1, "each has all devices"
    on_ray = replace(plan.config, runner=replace(plan.config.runner, kind="ray", workers=5))
    assert points_at_once(replace(plan, config=on_ray)) == 5


def test_free_memory_is_that_of_the_machine_or_of_the_group(tmp_path, monkeypatch):
    for name, text in (
        ("MEMINFO", "MemTotal: 9 kB\nMemAvailable:   4096 kB\n"),
        ("LIMIT", "3000000"),
        ("USED", "1000000"),
    ):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(machine, name, str(tmp_path / name))
    assert machine.free_memory() == 2000000
    (tmp_path / "LIMIT").write_text("max\n")
    assert machine.free_memory() == 4 << 20
    (tmp_path / "USED").unlink()
    assert machine.free_memory() == 4 << 20
