"""Seconds of a sweep with one point at once and with two, each point pinned to one core in both cases.

Command: make bench-sweep   (or: python -m experiments.benchmarks.bench_sweep [CONFIG] [--steps N] [--cores N]). Runs a
sweep of 12 points, four learning rates with three seeds, over a config (the quickstart's), twice; the corpus is made
first, if it is not there, and counts for neither. Says whether points took a minute at least, as they should, and
whether both tables are equal. Cost: half an hour on two cores, which should be idle.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from baichuan_jax.lab.points import OF_MACHINE
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run

OVER = ("OptimConfig.peak_lr=[5e-4, 1e-3, 2e-3, 4e-3]", "TrainConfig.seed=range(3)")
LEAST = 60.0  # seconds of a point, below which start-up would weigh too much


def run(config: str, directory: Path, cores: int, steps: int) -> tuple[float, list[dict[str, str]]]:
    """Run the sweep on so many cores; return its seconds and its table."""
    settings = {
        "SweepConfig.directory": directory,
        "SweepConfig.cores": cores,
        "SweepConfig.memory": 2 * cores,
        "RunnerConfig.memory": 2,
        "TrainConfig.steps": steps,
        "MeshConfig.fsdp": 1,
    }
    options = [*(f"--over={text}" for text in OVER), *(f"--set={name}={value}" for name, value in settings.items())]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "baichuan_jax.cli.main", "sweep", config, *options], check=True)
    seconds = time.perf_counter() - start
    with (directory / "results.csv").open() as file:
        return seconds, list(csv.DictReader(file))


def main() -> None:
    """Print the seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/runs/quickstart.gin")
    parser.add_argument("--steps", type=int, default=200, help="of each training")
    parser.add_argument("--cores", type=int, default=2, help="of the sweep that runs several points at once")
    args = parser.parse_args()
    Run(load_config(args.config, {"MeshConfig.fsdp": 1})).build("tokens")
    with tempfile.TemporaryDirectory() as scratch:
        serial, expected = run(args.config, Path(scratch) / "serial", 1, args.steps)
        parallel, found = run(args.config, Path(scratch) / "parallel", args.cores, args.steps)
    least = min(float(row["seconds"]) for row in expected)
    told = "" if least >= LEAST else f", less than {LEAST:.0f}: raise --steps"
    print(
        f"one point at once {serial:.1f} s, {args.cores} at once {parallel:.1f} s: {parallel / serial:.3f} of the time"
    )
    print(f"the shortest point took {least:.1f} s{told}")
    figures = [[{k: v for k, v in row.items() if k not in OF_MACHINE} for row in rows] for rows in (expected, found)]
    print("the tables are equal" if figures[0] == figures[1] else "THE TABLES DIFFER")


if __name__ == "__main__":
    main()
