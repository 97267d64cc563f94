"""Tasks on Ray."""

import sys

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.runner import Runner
from tests.jobs.jobs import Squares, run, squares, times

ON_RAY = {"kind": "ray", "workers": 2, "memory": 1}


@pytest.mark.ray
def test_every_task_is_done_and_those_of_a_killed_process_again(tmp_path, capfd):
    shown = []
    with Runner(RunnerConfig(**ON_RAY), tmp_path / "engine") as runner:
        for phase in ("without_jax", "killed_once"):
            (tmp_path / phase).mkdir()
            runner.run(phase, Squares(tmp_path / phase, phase), 5, lambda *progress: shown.append(progress))
            assert squares(tmp_path / phase) == [0, 1, 4, 9, 16]
            assert shown[-6:] == [(done, 5) for done in range(6)]
    assert times(tmp_path / "killed_once") == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1}
    assert capfd.readouterr().err == ""


@pytest.mark.ray
@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("killed_always", UserError, "the process of task 2 of phase 'squares' died 3 times"),
        ("wrong", UserError, r"line 1 of a\.jsonl is wrong"),
        ("broken", ZeroDivisionError, "by zero"),
    ],
)
def test_a_failure_is_raised_as_it_was(tmp_path, how, kind, message):
    with pytest.raises(kind, match=message):
        run(tmp_path, how, **ON_RAY)
    assert not list((tmp_path / "out").glob("00002"))


def test_without_ray(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[scale\]'"):
        run(tmp_path, "well", kind="ray")
