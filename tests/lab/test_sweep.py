import signal
import subprocess
import sys

import pytest

from baichuan_jax.lab.sweep import describe, product, run_units, values

SWEEP = product(values("vocab", (10, 20)), values("seed", (0, 1)))


def test_combinators():
    assert [{"vocab": v, "seed": s} for v in (10, 20) for s in (0, 1)] == SWEEP
    assert product(values("a", (1, 2)) + values("a", (5,)), [{"b": 0}])[-1] == {"a": 5, "b": 0}


def test_a_setting_in_two_sweeps_is_refused():
    with pytest.raises(TypeError, match="multiple values for keyword argument 'a'"):
        product(values("a", (1,)), values("a", (2,)))


def test_units_are_made_once_and_in_order(tmp_path):
    made, seen = [], []

    def build(point, folder):
        made.append(point)
        (folder / "model").write_text("x")
        return {"double": 2 * point["vocab"]}

    run = lambda sweep: run_units(tmp_path, sweep, build, lambda *step: seen.append(step), "tokenizer")
    assert [result["double"] for result in run(SWEEP[:3])] == [20, 20, 40]
    assert [result["double"] for result in run([*SWEEP[::-1], {"vocab": "a/b", "seed": 0}])] == [
        40,
        40,
        20,
        20,
        "a/ba/b",
    ]
    assert len(made) == 5
    assert seen[0] == ("done; tokenizer vocab 10, seed 0", 0, 3)
    assert seen[3] == ("done", 3, 3)
    assert all((path / "manifest.json").exists() and (path / "model").exists() for path in tmp_path.iterdir())
    assert any(path.name.startswith("tokenizer-vocab=a_b-seed=0-") for path in tmp_path.iterdir())


def test_a_unit_that_failed_gets_its_folder_again(tmp_path):
    def stop(point, folder):
        (folder / "half").write_text("so far")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_units(tmp_path, SWEEP[:1], stop, lambda *step: None)
    [result] = run_units(
        tmp_path, SWEEP[:1], lambda _, folder: {"read": (folder / "half").read_text()}, lambda *_: None
    )
    assert result["read"] == "so far"


KILLED = """
import os, signal, sys
from pathlib import Path
from baichuan_jax.lab.sweep import run_units, values
def build(point, folder):
    print(point["n"], flush=True)
    if point["n"] == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"n": point["n"]}
print([r["n"] for r in run_units(Path(sys.argv[1]), values("n", range(4)), build, lambda *_: None)])
"""


def test_a_sweep_that_was_killed_goes_on(tmp_path):
    def run(kill: int) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), str(kill)], capture_output=True, text=True, check=False
        )

    assert run(2).returncode == -signal.SIGKILL
    assert run(-1).stdout.split("\n") == ["2", "3", "[0, 1, 2, 3]", ""]
    assert run(-1).stdout == "[0, 1, 2, 3]\n"


def test_describe():
    assert describe(SWEEP[0], SWEEP) == "vocab 10, seed 0"
    assert describe(SWEEP[0], SWEEP[:2]) == "seed 0", "what all points share says nothing"
    assert describe(SWEEP[0], SWEEP[:1]) == ""
