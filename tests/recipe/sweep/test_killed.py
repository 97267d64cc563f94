"""Sweeps of real trainings: killed at random, two points at once, and on Ray. The table is that of a quiet run."""

import os
import random
import re
import signal
import time
from contextlib import suppress

import pytest

from tests.recipe.sweep.demo import descendants, run_whole, start

KILLS, POINTS = 20, 12


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """Return the table of a sweep that ran one point after the other, and the seconds that a point took."""
    begun = time.monotonic()
    found = run_whole(tmp_path_factory.mktemp("quiet") / "sweep", SweepConfig__cores=1)
    return found, (time.monotonic() - begun) / POINTS


@pytest.mark.slow
def test_a_sweep_whose_processes_are_killed_ends_as_a_quiet_one(quiet, tmp_path):
    directory, rng, killed = tmp_path / "sweep", random.Random(21), []
    expected, seconds = quiet
    runner = start(directory)
    while len(killed) < KILLS:
        time.sleep(rng.uniform(0.1, 1.5) * seconds)
        if runner.poll() is not None:
            runner = start(directory)
            continue
        victims = [runner.pid, *descendants(runner.pid)]
        victim = rng.choice(victims)
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            killed.append("runner" if victim == runner.pid else "worker")
    print(killed, f"{seconds:.1f} s a point")
    runner.wait()
    assert run_whole(directory) == expected
    assert 0 < killed.count("runner") < KILLS
    for number in range(POINTS):
        log = (directory / "states" / f"{number:04}.log").read_text()
        assert len(re.findall(rf"point {number} begins", log)) >= 1
        assert len(re.findall(rf"point {number} done", log)) <= 1, "run twice to its end"
        assert len(re.findall(r"^train: [\d,]+ parameters", log, re.MULTILINE)) <= 1, "trained twice to its end"


@pytest.mark.slow
def test_two_at_once_end_as_one_after_the_other(quiet, tmp_path):
    assert run_whole(tmp_path / "sweep", SweepConfig__cores=2, SweepConfig__memory=2) == quiet[0]


@pytest.mark.ray
def test_ray_gives_the_same_table(quiet, tmp_path):
    assert run_whole(tmp_path / "sweep", RunnerConfig__kind="'ray'", RunnerConfig__workers=2) == quiet[0]
