"""Two processes that are killed, starved and deceived: every run ends, with the bits of the undisturbed one.

CHAOS_KILLS is the number of kills, CHAOS_SEED what they are drawn by.
"""

import os
import random
import signal
import time

import pytest

from tests.chaos.child import Plan
from tests.chaos.run import (
    HEARTBEAT,
    INTERVAL,
    LOST,
    MOMENTS,
    NOTHING,
    Disturbed,
    kill,
    table,
    undisturbed,
)
from tests.cli.small import run as run_verb
from tests.cli.small import write_config

KILLS = int(os.environ.get("CHAOS_KILLS", "200"))
SEED = int(os.environ.get("CHAOS_SEED", random.randrange(10**6)))


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """Return a run with its reference."""
    folder = tmp_path_factory.mktemp("chaos")
    config = write_config(folder)
    run_verb("data", config)
    run_verb("tokenizer", config)
    found = Disturbed(config, folder / "run", folder / "chaos")
    found.reference = undisturbed(found)
    return found


def moments(rng, kills):
    """Return when to kill: each kind as often as another."""
    found = [MOMENTS[number % len(MOMENTS)] for number in range(kills)]
    rng.shuffle(found)
    return found


def kill_often(training, seed, kills):
    """Kill so often; return what was noted of each kill. Runs that end in between are begun anew."""
    rng, done = random.Random(seed), []
    waiting = moments(rng, kills)
    training.begin()
    while waiting:
        there = len(training.checkpoints())
        needed = {"restore": 1, "moving aside": 2}
        place = next((at for at, moment in enumerate(waiting) if there >= needed.get(moment, 0)), None)
        if place is None:  # one more checkpoint, then
            place, waiting = 0, ["step", *waiting]
        moment = waiting.pop(place)
        found = kill(training, rng, moment)
        if found is None:
            waiting.append(moment)
            training.begin()
        else:
            done.append(found)
    while not training.finished:
        assert training.live().codes == [0, 0]
    return done


def report(capfd, text):
    with capfd.disabled():
        print(f"\n{text}", flush=True)


@pytest.mark.chaos
def test_kills_at_every_moment(training, capfd):
    report(capfd, f"CHAOS_KILLS={KILLS} CHAOS_SEED={SEED}")
    begun = time.monotonic()
    kills = kill_often(training, SEED, KILLS)
    report(capfd, f"{table(kills, training)}\nall: {(time.monotonic() - begun) / 60:.1f} min")
    assert len(kills) >= KILLS
    assert {entry["moment"] for entry in kills} == set(MOMENTS[: len(kills)])


def half_way(training, *plans):
    """Begin anew, and end after two checkpoints."""
    training.begin()
    life = training.live(Plan("kill", "step", 2 * INTERVAL + 5, 0, 0.0))
    assert life.codes[0] == -signal.SIGKILL
    return training.live(*plans) if plans else life


def to_the_end(training):
    assert training.live().codes == [0, 0], "not finished"


@pytest.mark.chaos
@pytest.mark.parametrize("victim", [0, 1])
def test_sigterm(training, victim):
    half_way(training)
    processes = training.start([NOTHING, NOTHING])
    wait_for_steps(training, processes, 5)
    processes[victim].send_signal(signal.SIGTERM)
    assert training.end(processes).codes == [130, 130]
    assert training.checkpoints()[-1] == training.reached + 1
    to_the_end(training)


@pytest.mark.chaos
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("seconds", [HEARTBEAT / 4, 6 * HEARTBEAT])
def test_sigstop(training, victim, seconds):
    """For less than the heartbeat it costs time; after that the other process ends."""
    half_way(training)
    processes = training.start([NOTHING, NOTHING])
    wait_for_steps(training, processes, 5)
    processes[victim].send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and processes[1 - victim].poll() is None:
        time.sleep(0.1)
    if seconds > HEARTBEAT:
        assert processes[1 - victim].wait(1) in LOST
        processes[victim].kill()
        training.end(processes)
        to_the_end(training)
    else:
        processes[victim].send_signal(signal.SIGCONT)
        assert training.end(processes).codes == [0, 0]


@pytest.mark.chaos
@pytest.mark.parametrize("victim", [0, 1])
def test_a_disk_that_is_full_for_a_while(training, victim):
    plan = Plan("full", "save", 2)
    life = half_way(training, *([plan] if victim == 0 else [NOTHING, plan]))
    assert life.codes == [0, 0]
    assert life.noted("full")
    assert any("is not written: " in text and "training goes on" in text for text in life.written)


@pytest.mark.chaos
def test_a_poisoned_batch(training):
    half_way(training)
    shard = next((training.workdir / "tokens").rglob("train-*.bin"))
    content = shard.read_bytes()
    shard.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    life = training.live()
    assert life.codes == [2, 2], life.written
    assert all(f"{shard} does not match its checksum" in text for text in life.written)
    assert not life.noted("step")
    shard.write_bytes(content)
    to_the_end(training)


@pytest.mark.chaos
def test_a_gradient_that_is_no_number(training):
    plan = Plan("nan", occurrence=3 * INTERVAL - 2)
    life = half_way(training, plan, plan)
    assert life.codes == [2, 2], life.written
    assert all("training has diverged" in text for text in life.written)
    assert training.checkpoints()[-1] == 2 * INTERVAL
    to_the_end(training)


def wait_for_steps(training, processes, steps):
    """Wait until so many steps are begun in this life."""
    log, deadline = training._log(0), time.monotonic() + 300
    while not log.exists() or log.read_text().count('"step", "step"') < steps:
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes), training._texts()
        time.sleep(0.01)
