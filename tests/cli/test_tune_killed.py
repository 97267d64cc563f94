"""Tuning that is killed goes on from its checkpoint, bit for bit."""

import os
import signal
import subprocess
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.recipe.run import Run
from baichuan_jax.train.config import CHECKPOINTS, checkpoint_steps
from tests.cli.small import command, environment, run, write_config
from tests.tune.making import write_lines

TUNE = """
ChatConfig.template = 'alpaca'
InstructionConfig.held_out = 0.1
LoraConfig.drop = 0.1
TuneConfig.steps = 24
TuneConfig.batch = 8
TuneConfig.length = 128
TuneConfig.accumulate = 2
TuneConfig.warmup_steps = 1
TuneConfig.eval_every = 12
TuneConfig.checkpoint_every = 4
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Return the config of a run with a trained model and conversations."""
    folder = tmp_path_factory.mktemp("killed")
    chats = write_lines(
        folder / "chats.jsonl", [{"prompt": f"{n}", "response": f"the people of {n}"} for n in range(80)]
    )
    config = write_config(folder, f"{TUNE}InstructionConfig.sources = {{'chats': '{chats}'}}\n")
    for verb in ("data", "tokenizer", "train"):
        run(verb, config)
    return config


def step_of(workdir: Path) -> int:
    return max((record["step"] for record in read_metrics(workdir / "tune") if "loss" in record), default=0)


def reached(workdir: Path) -> int:
    return max(checkpoint_steps(workdir / "tune" / CHECKPOINTS), default=0)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 4], ids=["full", "adapters"])
def test_kill_9_then_the_same_command_ends_with_the_same_bits(base, rank, tmp_path):
    given = [base, f"--set=LoraConfig.rank={rank}", f"--set=RunConfig.base={base.parent / 'run'}"]
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    assert "held-out response token" in run("tune", *given, f"--set=RunConfig.workdir={quiet}").stderr
    again = [*given, f"--set=RunConfig.workdir={killed}"]
    process = subprocess.Popen(command("tune", *again), env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not (reached(killed) and step_of(killed) > reached(killed)):
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run("tune", *again)
    assert read_losses(killed) == read_losses(quiet), "not bit for bit"
    for found, expected in zip(*(jax.tree.leaves(Run.open(workdir).params) for workdir in (killed, quiet))):
        np.testing.assert_array_equal(found, expected)


def read_losses(workdir: Path) -> list[tuple]:
    return [(record["step"], record.get("loss"), record.get("validation")) for record in read_metrics(workdir / "tune")]
