"""Sweeps by the command line, in processes of their own: of real trainings on real text, or with cheap stages."""

import csv
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from baichuan_jax.lab.points import OF_MACHINE
from tests.cli.small import command, environment
from tests.recipe.sweep.cheap import SITE

ROOT = Path(__file__).parents[3]
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


@dataclass(frozen=True)
class Swept:
    """A sweep in a directory. over: its settings. settings: of sections, beside those above. variables: environment."""

    directory: Path
    over: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> subprocess.Popen:
        """Start the sweep in a session of its own; what it says is added to DIRECTORY.log."""
        places = {"SweepConfig.directory": self.directory, "RunConfig.workdir": self.directory / "no-run"}
        given = (f"--set={name}={value}" for name, value in {**SETTINGS, **self.settings, **places}.items())
        line = command("sweep", "configs/runs/quickstart.gin", *(f"--over={text}" for text in self.over), *given)
        with self.directory.with_suffix(".log").open("ab") as log:
            known = {**environment(), **self.variables}
            return subprocess.Popen(line, stdout=log, stderr=log, env=known, start_new_session=True, cwd=ROOT)

    def run(self) -> list[dict[str, str]]:
        """Run the sweep to its end; return its table without what only the machine has measured."""
        code = self.start().wait()
        assert code == 0, self.directory.with_suffix(".log").read_text()
        with (self.directory / "results.csv").open() as file:
            rows = list(csv.DictReader(file))
        return [{name: value for name, value in row.items() if name not in OF_MACHINE} for row in rows]

    def log(self, number: int) -> str:
        """Return what the processes of a point have printed."""
        return (self.directory / "states" / f"{number:04}.log").read_text()


def cheap(directory: Path, over: tuple[str, ...], settings: Mapping[str, object], step: float = 0.05) -> Swept:
    """Return a sweep with cheap stages; what has come to its end is noted in DIRECTORY.ends."""
    site = directory.with_suffix(".site")
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    path = os.pathsep.join((str(site), str(ROOT), os.environ.get("PYTHONPATH", "")))
    variables = {"PYTHONPATH": path, "CHEAP_ENDS": str(directory.with_suffix(".ends")), "CHEAP_STEP": str(step)}
    return Swept(directory, over, settings, variables)


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
    return found
