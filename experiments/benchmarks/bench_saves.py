"""What saving costs a training: 200 steps with a checkpoint every 20 beside as many with one at the end, in turn.

Command: make bench-saves   (or: python -m experiments.benchmarks.bench_saves [CONFIG] [--rounds N]). Trains a config
(the quickstart's) from its first step in processes of their own. The time is that of steps and of what they wait for,
checksums of the checkpoints included. Cost: five minutes on two cores, which should be idle.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from baichuan_jax.core.goodput import read_goodput
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run

STEPS = 200
START = "from baichuan_jax.cli.start import start; start()"


def seconds(config: str, every: int, scratch: Path) -> tuple[float, float]:
    """Return the seconds of steps and of saves of one training, which its ledger has."""
    settings = {
        "RunConfig.base": load_config(config).workdir,
        "RunConfig.workdir": scratch,
        "TrainConfig.steps": STEPS,
        "TrainConfig.checkpoint_every": every,
        "TrainConfig.eval_every": STEPS,
        "TrainConfig.eval_windows": 1,
    }
    command = [sys.executable, "-c", START, "train", config, *(f"--set={k}={v}" for k, v in settings.items())]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = read_goodput(scratch).record()["seconds"]
    return found["step"] + found["input wait"], found["save stall"]


def main() -> None:
    """Print both times of each round, and the ratio of their medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/runs/quickstart.gin")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    Run(load_config(args.config)).build("tokens")
    found: dict[int, list[float]] = {20: [], STEPS: []}
    for number in range(args.rounds):
        for every, times in found.items():
            with tempfile.TemporaryDirectory() as directory:
                steps, saves = seconds(args.config, every, Path(directory) / "run")
            times.append(steps + saves)
            print(f"round {number}, every {every}: {steps:.1f} s of steps, {saves:.1f} s of saves", flush=True)
    often, once = (statistics.median(times) for times in found.values())
    print(f"medians: {often:.1f} s with a checkpoint every 20 steps, {once:.1f} s with one: {often / once - 1:+.1%}")


if __name__ == "__main__":
    main()
