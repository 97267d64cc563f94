"""Seconds from kill -9 of a supervised training to the next step that is finished, and what they go to.

Command: make bench-restart   (or: python -m experiments.benchmarks.bench_restart [CONFIG] [--kills N]). Trains a config
(the quickstart's) under `train --supervise` with checkpoints every 20 steps, and kills the process at random moments
after the first new checkpoint of each start: the supervisor waits longer and longer where there is none.
Compiled programs are kept, and the first restart does not count. Its data, tokenizer and tokens are made first, if
they are not there. Cost: five minutes on two cores, which should be idle.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from baichuan_jax.core.goodput import read_goodput, read_ledger
from baichuan_jax.core.heartbeat import Beat, read_beat
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run
from baichuan_jax.train.config import CHECKPOINTS, checkpoint_steps

START = "from baichuan_jax.cli.start import start; start()"
LONGEST = 600.0  # seconds until a restart counts as failed


def begin(config: str, scratch: Path) -> subprocess.Popen:
    """Start the supervised training."""
    settings = {
        "RunConfig.base": load_config(config).workdir,
        "RunConfig.workdir": scratch / "run",
        "CompilationCacheConfig.directory": scratch / "kept",
        "TrainConfig.steps": 100000,  # it is stopped before
        "TrainConfig.checkpoint_every": 20,
        "TrainConfig.eval_every": 100000,
    }
    command = [sys.executable, "-c", START, "train", config, "--supervise", "--retries", "1000"]
    command += [f"--set={name}={value}" for name, value in settings.items()]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def next_step(workdir: Path, pid: int, steps: int = 1) -> Beat:
    """Wait until another process than `pid` has finished so many steps; return its beat."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        beat = read_beat(workdir, 0)
        if beat and beat.pid != pid:
            starts = [line["from"] for line in read_ledger(workdir) if "from" in line and line["begun"] == beat.begun]
            if starts and beat.step >= starts[0] + steps:
                return beat
        time.sleep(0.01)
    raise SystemExit("no step was finished")


def wait_for_checkpoint(workdir: Path) -> None:
    """Wait until there is a newer checkpoint than now."""
    folder, deadline = workdir / "train" / CHECKPOINTS, time.monotonic() + LONGEST
    before = max(checkpoint_steps(folder), default=0)
    while max(checkpoint_steps(folder), default=0) <= before:
        if time.monotonic() > deadline:
            raise SystemExit(f"no checkpoint after step {before} was written")
        time.sleep(0.05)


def main() -> None:
    """Print median, 95th percentile and the longest, and where the time of the run went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/runs/quickstart.gin")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=19)
    args = parser.parse_args()
    Run(load_config(args.config)).build("tokens")
    rng, seconds = random.Random(args.seed), []
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        supervisor = begin(args.config, scratch)
        beat = next_step(scratch / "run", 0)
        for _ in range(args.kills + 1):
            wait_for_checkpoint(scratch / "run")
            time.sleep(rng.uniform(0, 5))
            killed = time.monotonic()
            os.kill(beat.pid, signal.SIGKILL)
            beat = next_step(scratch / "run", beat.pid)
            seconds.append(time.monotonic() - killed)
        supervisor.terminate()
        supervisor.wait()
        found = read_goodput(scratch / "run").record()
    counted = sorted(seconds[1:])
    p95 = counted[max(0, -(-95 * len(counted) // 100) - 1)]
    print(f"seed {args.seed}, {args.kills} kills, seconds to the next step:", *(f"{each:.2f}" for each in seconds[1:]))
    print(f"median {statistics.median(counted):.2f} s, p95 {p95:.2f} s, longest {counted[-1]:.2f} s")
    print(", ".join(f"{part} {value:.1f} s" for part, value in found["seconds"].items()))
    print(f"unexplained: {found['shares']['unexplained']:.2%} of {found['total_seconds']:.1f} s")


if __name__ == "__main__":
    main()
