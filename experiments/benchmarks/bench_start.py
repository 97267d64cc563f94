"""Seconds from the start of a process to the first finished step of a training that goes on, and what they go to.

Command: make bench-start   (or: python -m experiments.benchmarks.bench_start [CONFIG] [--repeats N]). Restarts the
training of a config (the quickstart's) from a checkpoint, without kept programs, with an empty directory of them, and
with a full one, in turn; then compares two steps after a restart without and with a kept program, bit for bit. Its
data, tokenizer and tokens are made first, if they are not there. Cost: a minute on two cores, which should be idle.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run

START = "from baichuan_jax.cli.start import start; start()"


def begin(config: str, workdir: Path, *settings: str) -> subprocess.Popen:
    """Start to train, as the command does."""
    base = load_config(config).workdir
    bound = [f"RunConfig.base={base}", f"RunConfig.workdir={workdir}", "TrainConfig.log_every=1"]
    bound += ["TrainConfig.steps=100000", *settings]  # it is killed before
    command = [sys.executable, "-c", START, "train", config, *(f"--set={each}" for each in bound)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def first_step(process: subprocess.Popen) -> dict[str, float]:
    """Return the seconds of each part of the way to the first finished step, and of all, from outside and inside."""
    start = time.perf_counter()
    for line in process.stderr:
        if found := re.search(r"first step after ([\d.]+) s: (.*)", line):
            parts = (part.rpartition(" ") for part in found[2].split(", "))
            inside = {name: float(seconds) for name, _, seconds in parts}
            return {"all, seen from outside": time.perf_counter() - start, "all": float(found[1]), **inside}
    raise SystemExit(f"it ended with code {process.wait()}")


def restart(config: str, stopped: Path, workdir: Path, cache: str, steps: int = 0) -> tuple[dict[str, float], list]:
    """Go on training in a copy of a run; return the parts, and the records of so many steps."""
    shutil.copytree(stopped, workdir)
    process = begin(config, workdir, cache)
    parts, before = first_step(process), len(read_metrics(stopped / "train"))
    records: list = []
    while len(records) < steps:
        time.sleep(0.05)
        found = [record for record in read_metrics(workdir / "train")[before:] if "loss" in record]
        records = [[record[key] for key in ("step", "loss", "grad_norm", "domain_loss")] for record in found][:steps]
    process.kill()
    process.communicate()
    shutil.rmtree(workdir)
    return parts, records


def main() -> None:
    """Print medians of all parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/runs/quickstart.gin")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    Run(load_config(args.config)).build("tokens")
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        kept = f"CompilationCacheConfig.directory={scratch / 'kept'}"
        caches = {
            "no kept programs": lambda number: "CompilationCacheConfig.max_bytes=0",
            "none kept yet": lambda number: f"CompilationCacheConfig.directory={scratch / str(number)}",
            "kept": lambda number: kept,
        }
        process = begin(args.config, scratch / "run", kept)
        first_step(process)
        process.send_signal(signal.SIGINT)
        process.communicate()
        restart(args.config, scratch / "run", scratch / "copy", kept)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in caches}
        for number in range(args.repeats):
            for name, cache in caches.items():
                found[name].append(restart(args.config, scratch / "run", scratch / "copy", cache(number))[0])
        for name, all_parts in found.items():
            medians = {part: statistics.median(parts[part] for parts in all_parts) for part in all_parts[0]}
            print(f"{name:18}", ", ".join(f"{part} {seconds:.2f}" for part, seconds in medians.items()))
        without, with_kept = (
            restart(args.config, scratch / "run", scratch / "copy", caches[name](0), steps=2)[1]
            for name in ("no kept programs", "kept")
        )
        print(f"two steps after a restart: {'the same bits' if without == with_kept else 'OTHER BITS'}: {with_kept}")


if __name__ == "__main__":
    main()
