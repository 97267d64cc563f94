"""Supervised training: what is wrong is told, and it goes on from the last good checkpoint."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from baichuan_jax.cli import watch
from baichuan_jax.cli.supervise import _commands
from baichuan_jax.cli.watch import Watched
from baichuan_jax.core.goodput import UNEXPLAINED, read_goodput
from baichuan_jax.core.heartbeat import read_beat
from baichuan_jax.core.interrupt import StopRequest
from tests.cli.small import command, environment, run
from tests.cli.test_processes import losses, prepared, settings, workdir  # noqa: F401

# A process that stands for a training: it writes beats as the file tells, and ends as it is told.
CHILD = """
import faulthandler, json, os, signal, sys, time
from pathlib import Path
from baichuan_jax.core.heartbeat import Heartbeat
faulthandler.register(signal.SIGUSR2, 2, all_threads=True)
workdir, number, how = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
beats = Heartbeat(workdir, number, time.time())
def beat(step, phase="step", within=1.0, **fault):
    beats.write(time=time.time(), step=step, phase=phase, last="input wait", within=within, **fault)
for step in range(40):
    beat(step)
    if step == 10 and how == "hang":
        def stuck(): time.sleep(60)
        stuck()
    if step == 10 and how.startswith("fault "):
        beat(step, fault=how[6:], message="it is so")
        sys.exit(2)
    if step == 10 and how == "exit 1":
        sys.exit(1)
    if step == 10 and how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if step == 10 and how == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.02)
sys.exit(75 if how == "peer" else 0)
"""


def watched(tmp_path, *how, **options):
    commands = [[sys.executable, "-c", CHILD, str(tmp_path), str(number), each] for number, each in enumerate(how)]
    return Watched(commands, range(len(how)), tmp_path, options.get("hang", 30.0)).wait(StopRequest())


def test_all_end_well(tmp_path):
    assert watched(tmp_path, "well", "well") is None


@pytest.mark.parametrize(
    ("how", "kind", "told", "retry"),
    [
        ("kill", "crash", "was killed by SIGKILL after step 10, in phase 'step'; .*finished was 'input wait'", True),
        ("exit 1", "crash", "ended with exit code 1", True),
        ("fault not finite", "not finite", "ended with exit code 2", False),
        ("fault full disk", "full disk", "ended with exit code 2", False),
        ("peer", "lost process", "ended with exit code 75", True),
    ],
)
def test_how_a_process_ended_is_told(tmp_path, how, kind, told, retry):
    found = watched(tmp_path, how)
    assert (found.kind, found.retry) == (kind, retry)
    assert re.search(rf"process 0 \(pid \d+ on .*\) {told}", found.told)


def test_the_process_that_failed_first_is_named(tmp_path, monkeypatch):
    """The one that lost its peer ends too; one that is well is ended."""
    monkeypatch.setattr(watch, "POLL", 1.5)  # so that both have ended when they are looked at
    found = watched(tmp_path, "peer", "kill", "hang")
    assert (found.process, found.kind) == (1, "crash")


@pytest.mark.parametrize(("how", "word"), [("hang", "hangs"), ("stop", "is frozen")])
def test_a_process_without_a_sign_is_named_and_prints_its_stack(tmp_path, capfd, how, word):
    start = time.monotonic()
    found = watched(tmp_path, "well", how)
    assert time.monotonic() - start < 30
    assert (found.process, found.step, found.phase, found.kind, found.retry) == (1, 10, "step", "hang", True)
    assert word in found.told
    assert ("stuck" if how == "hang" else "most recent call first") in capfd.readouterr().err


def test_outside_of_steps_patience_is_that_of_the_option(tmp_path):
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    found = Watched([command], [3], tmp_path, hang=0.5).wait(StopRequest())
    assert re.search(r"process 3 .* hangs, .* before it began to train: hang", found.told)


def test_commands_of_processes_that_are_all_here():
    from baichuan_jax.cli.main import parser

    args = parser().parse_args(["train", "c.gin", "--set=A.b=1", "--supervise", "--processes=2", "--redo"])
    first, second = _commands(args, 2)
    assert first[3:] == [
        "train",
        "c.gin",
        "--set=A.b=1",
        "--redo",
        "--heartbeat=100",
        first[8],
        "--processes=2",
        "--process=0",
    ]
    assert first[8] == second[8]
    assert re.fullmatch(r"--coordinator=127.0.0.1:\d+", first[8])
    args = parser().parse_args(["train", "c.gin", "--supervise", "--coordinator=a:1", "--processes=2", "--process=1"])
    assert _commands(args, 1)[0][5:] == ["--heartbeat=100", "--coordinator=a:1", "--processes=2", "--process=1"]


class Supervised:
    """A supervised training in the background. said: what it has written so far."""

    def __init__(self, config, workdir, *more):
        self.workdir, self.said = workdir, []
        arguments = ["train", config, *settings(workdir, *LONG), "--supervise", *more]
        self.process = subprocess.Popen(command(*arguments), env=environment(), stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=lambda: self.said.extend(self.process.stderr))
        self._reader.start()

    def wait_for(self, what, seconds=300):
        deadline = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def beat(self, process=0):
        beat = read_beat(self.workdir, process)
        return beat if beat and Path(f"/proc/{beat.pid}").exists() else None

    def in_step(self, above, process=0):
        """Wait for a step above this; return the beat."""
        self.wait_for(
            lambda: (beat := self.beat(process)) and beat.step > above and beat.phase in ("step", "input wait")
        )
        return self.beat(process)

    def end(self, code):
        self.process.wait(timeout=300)
        self._reader.join()
        assert self.process.returncode == code, self.said
        return "".join(self.said)


LONG = ("TrainConfig.steps=300", "TrainConfig.eval_every=100", "TrainConfig.checkpoint_every=20")


@pytest.mark.slow
def test_five_kills_and_where_the_time_went(prepared, tmp_path):  # noqa: F811
    """The losses are those of a run that nobody killed, and what is unexplained is at most 2 % of the clock."""
    alone, killed = workdir(prepared, tmp_path / "alone"), workdir(prepared, tmp_path / "killed")
    run("train", prepared, *settings(alone, *LONG))
    training = Supervised(prepared, killed)
    for kill in range(5):
        beat = training.in_step(50 * kill + 25)
        os.kill(beat.pid, signal.SIGKILL)
        training.wait_for(lambda pid=beat.pid: (found := training.beat()) and found.pid != pid)
    said = training.end(0)
    assert said.count("was killed by SIGKILL") == 5, said
    assert losses(killed) == losses(alone)
    found = read_goodput(killed).record()
    print(json.dumps(found, indent=1))
    assert found["starts"] == 6
    assert found["seconds"]["lost work"] > 0
    assert abs(found["shares"][UNEXPLAINED]) <= 0.02


@pytest.mark.slow
def test_two_processes_of_which_one_is_frozen(prepared, tmp_path):  # noqa: F811
    both = workdir(prepared, tmp_path / "both")
    training = Supervised(prepared, both, "--processes", "2")
    pid = training.in_step(50, process=1).pid
    os.kill(pid, signal.SIGSTOP)
    frozen = time.monotonic()
    training.wait_for(lambda: any("is frozen" in line for line in training.said))
    print(f"named after {time.monotonic() - frozen:.1f} s:", *training.said)
    assert re.search(
        r"process 1 \(pid \d+ on .*\) is frozen.* after step \d+, in phase '(step|input wait)'", "".join(training.said)
    )
    training.end(0)
    assert max(losses(both)) == 300
