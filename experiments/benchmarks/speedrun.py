"""Seconds from raw text to a decoder whose held-out bits per byte are at most 2.50: the speedrun of the quickstart.

Command: make speedrun   (or: python -m experiments.benchmarks.speedrun [CONFIG] [--seeds 0 1 2]). Runs the recipe of a
config (configs/runs/speedrun.gin) from raw text for each seed, in a process of its own and without kept programs, and
prints the seconds of each stage, with their sum, and the mean over the domains of the full held-out bits per byte. The
rules are in experiments/RECORDS.md. Cost: three times the record, on an idle machine. Exit code 1 if a run misses the
target.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from baichuan_jax.core.files import read_json

TARGET = 2.50  # bits per byte, mean over domains
VERBS = ("data", "tokenizer", "train")  # what counts; `tokenizer` encodes the corpus too


def run_once(config: str, seed: int, workdir: Path, overrides: list[str]) -> tuple[dict[str, float], float]:
    """Return (seconds of each stage and of all that counts, held-out bits per byte)."""
    settings = [f"RunConfig.workdir={workdir}", f"TrainConfig.seed={seed}", "CompilationCacheConfig.max_bytes=0"]
    common = [config, *(f"--set={each}" for each in (*settings, *overrides))]
    seconds = {}
    for verb in (*VERBS, "evaluate"):
        start = time.perf_counter()
        command = [sys.executable, "-m", "baichuan_jax.cli.main", verb, *common]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds[verb] = time.perf_counter() - start
    bits = statistics.mean(
        row["bits_per_byte"] for row in read_json(workdir / "evaluate/result.json")["domains"].values()
    )
    return {**seconds, "counted": sum(seconds[verb] for verb in VERBS)}, bits


def main() -> None:
    """Run every seed; print the median."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("config", nargs="?", default="configs/runs/speedrun.gin")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--set", action="append", default=[], dest="overrides", metavar="NAME.FIELD=VALUE")
    args = arguments.parse_args()
    found = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as directory:
            seconds, bits = run_once(args.config, seed, Path(directory) / "run", args.overrides)
        parts = ", ".join(f"{name} {spent:.1f}" for name, spent in seconds.items())
        print(f"seed {seed}: {bits:.4f} bits per byte; seconds: {parts}", flush=True)
        found.append((seconds["counted"], bits))
    times = sorted(spent for spent, _ in found)
    reached = all(bits <= TARGET for _, bits in found)
    print(
        f"median {statistics.median(times):.1f} s ({times[0]:.1f} to {times[-1]:.1f}), {TARGET:.2f} bits per byte",
        end=" ",
    )
    print("reached by all" if reached else "missed")
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
