"""Sweeps in real processes: killed at random, two points at once, and on Ray. The table is that of a quiet run."""

import os
import random
import re
import signal
import time
from contextlib import suppress

import pytest

from tests.recipe.sweep.demo import Swept, cheap, descendants

SERIAL, PARALLEL = {"SweepConfig.cores": 1}, {"SweepConfig.cores": 2, "SweepConfig.memory": 2}
ON_RAY = {"RunnerConfig.kind": "'ray'", "RunnerConfig.workers": 2}
TWELVE = ("OptimConfig.peak_lr=[1e-3, 2e-3, 4e-3, 8e-3]", "TrainConfig.seed=range(3)")
FOUR = ("OptimConfig.peak_lr=[1e-3, 4e-3]", "TrainConfig.seed=range(2)")


def kill_at_random(sweep: Swept, kills: int, seconds: float) -> list[str]:
    """Run a sweep, kill one of its processes now and then, and start it again where none is left; return the killed.

    seconds: that a point takes when nothing is killed.
    """
    rng, killed, runner = random.Random(21), [], sweep.start()
    while len(killed) < kills:
        time.sleep(rng.uniform(0.05, 0.6) * seconds)
        if runner.poll() is not None:
            assert runner.returncode != 0, f"over after {len(killed)} kills"
            runner = sweep.start()
            continue
        workers = descendants(runner.pid)
        if workers:  # before there are any, a kill would only cost time
            victim = rng.choice([runner.pid, *workers])
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                killed.append("runner" if victim == runner.pid else "worker")
    runner.wait()
    return killed


def assert_run_once(sweep: Swept, points: int) -> None:
    """Check that nothing that was finished, so had its manifest or the state "done", was made again."""
    for number in range(points):
        log = sweep.log(number)
        for end in (rf"^point {number} done", "^train: (?!done before)", "^evaluate: (?!done before)"):
            assert len(re.findall(end, log, re.MULTILINE)) <= 1, f"run twice to its end: {log}"
        assert "begins" not in log.partition(f"point {number} done")[2]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """Return the table of four trainings, one after the other, and the seconds that each took."""
    begun = time.monotonic()
    found = Swept(tmp_path_factory.mktemp("quiet") / "sweep", FOUR, SERIAL).run()
    return found, (time.monotonic() - begun) / 4


@pytest.mark.slow
def test_twelve_points_killed_twenty_times_end_as_if_nothing_had_been(tmp_path):
    begun = time.monotonic()
    expected = cheap(tmp_path / "quiet", TWELVE, SERIAL).run()
    seconds = (time.monotonic() - begun) / 12
    sweep = cheap(tmp_path / "sweep", TWELVE, PARALLEL)
    killed = kill_at_random(sweep, 20, seconds)
    print(killed, f"{seconds:.1f} s a point")
    assert 0 < killed.count("runner") < 20
    assert sweep.run() == expected
    assert len({row["loss"] for row in expected}) == 12
    trained = {line.split()[0] for line in (tmp_path / "sweep.ends").read_text().splitlines() if "train" in line}
    assert trained == {f"{number:04}" for number in range(12)}, "none is lost"
    assert_run_once(sweep, 12)


@pytest.mark.slow
def test_real_trainings_that_are_killed_end_with_the_same_figures(quiet, tmp_path):
    expected, seconds = quiet
    sweep = Swept(tmp_path / "sweep", FOUR, PARALLEL)
    print(kill_at_random(sweep, 6, seconds), f"{seconds:.1f} s a point")
    assert sweep.run() == expected
    assert_run_once(sweep, 4)


@pytest.mark.ray
def test_ray_gives_the_same_table(tmp_path):
    assert cheap(tmp_path / "ray", TWELVE, ON_RAY).run() == cheap(tmp_path / "quiet", TWELVE, SERIAL).run()
