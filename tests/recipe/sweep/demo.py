"""A sweep over a run of real text, small enough to test with, by the command line."""

import csv
import os
import subprocess
from pathlib import Path

from baichuan_jax.lab.points import OF_MACHINE
from tests.cli.small import command, environment

SETTINGS = {
    "VOCAB": 3000,
    "DecoderConfig.layers": 1,
    "DecoderConfig.hidden": 32,
    "DecoderConfig.heads": 2,
    "DecoderConfig.head_dim": 16,
    "DecoderConfig.inner": 48,
    "DataConfig.max_bytes": 150000,
    "SelectConfig.validation_fraction": 0.1,
    "TrainConfig.steps": 24,
    "TrainConfig.batch": 4,
    "TrainConfig.log_every": 1,
    "TrainConfig.eval_every": 12,
    "TrainConfig.eval_windows": 2,
    "TrainConfig.checkpoint_every": 4,
    "OptimConfig.warmup_steps": 1,
    "EvaluateConfig.windows": 4,
    "MeshConfig.fsdp": 1,
    "RunnerConfig.memory": 1,
}
TWELVE = ("OptimConfig.peak_lr=[1e-3, 2e-3, 4e-3, 8e-3]", "TrainConfig.seed=range(3)")


def sweep_command(directory: Path, over: tuple[str, ...] = TWELVE, **settings: object) -> list[str]:
    """Return the command of a sweep in a directory. settings: fields of sections, with __ for the dot."""
    given = SETTINGS | {name.replace("__", "."): value for name, value in settings.items()}
    given |= {"SweepConfig.directory": directory, "RunConfig.workdir": directory / "no-run"}
    options = [f"--set={name}={value}" for name, value in given.items()]
    return command("sweep", "configs/runs/quickstart.gin", *(f"--over={text}" for text in over), *options)


def start(directory: Path, **settings: object) -> subprocess.Popen:
    """Start a sweep in a session of its own; what it says is added to DIRECTORY.log."""
    with directory.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            sweep_command(directory, **settings), stdout=log, stderr=log, env=environment(), start_new_session=True
        )


def run_whole(directory: Path, **settings: object) -> list[dict[str, str]]:
    """Run a sweep to its end; return its table."""
    code = start(directory, **settings).wait()
    assert code == 0, directory.with_suffix(".log").read_text()
    return table(directory)


def table(directory: Path) -> list[dict[str, str]]:
    """Return the table of a sweep without what only the machine has measured."""
    with (directory / "results.csv").open() as file:
        return [{name: value for name, value in row.items() if name not in OF_MACHINE} for row in csv.DictReader(file)]


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        new = [each for each, its in parents.items() if its == parent]
        found += new
        waiting += new
    return [each for each in found if os.path.exists(f"/proc/{each}")]
