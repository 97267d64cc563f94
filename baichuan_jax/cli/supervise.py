"""`train --supervise`: processes that are started again from the last good checkpoint when one fails or hangs."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from pathlib import Path

from baichuan_jax.cli.progress import print_line
from baichuan_jax.cli.watch import Fault, Watched
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import TryAgain, UserError, require
from baichuan_jax.core.goodput import append, append_rest
from baichuan_jax.core.interrupt import STOPPED, Interrupted, StopRequest, stop_on_signal
from baichuan_jax.train.config import CHECKPOINTS, checkpoint_steps

START = "from baichuan_jax.cli.start import start; start()"
LONGEST_WAIT = 60.0  # seconds between two attempts
RANKS = ("SLURM_PROCID", "JOB_COMPLETION_INDEX", "OMPI_COMM_WORLD_RANK")  # where clusters say which process this is


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `train` takes for its supervision."""
    group = verb.add_argument_group("supervision", "start again from the last good checkpoint after a fault")
    group.add_argument(
        "--supervise", action="store_true", help="watch the process, or --processes N of this machine, and do that"
    )
    group.add_argument(
        "--retries", type=int, default=5, metavar="N", help="attempts without a newer checkpoint, then give up (5)"
    )
    group.add_argument(
        "--hang",
        type=float,
        default=1800.0,
        metavar="SECONDS",
        help="silence that means a hang outside of steps, as while compiling (1800); in steps it follows from theirs",
    )


def supervise(loaded: Loaded, args: argparse.Namespace) -> None:
    """Train in other processes until that is done.

    Raise UserError if one ends by what the user must mend, Interrupted if all were stopped on request, and TryAgain
    if too many attempts in a row reach no newer checkpoint.
    """
    require(args.retries >= 0, "--retries", args.retries, "0 or more")
    require(args.hang > 0, "--hang", args.hang, "a positive number of seconds")
    workdir = Path(loaded.config.workdir)
    folder, failures, reached = workdir / "train" / CHECKPOINTS, 0, -1
    with stop_on_signal("the next step and its checkpoint") as stop:
        while fault := _attempt(args, workdir, stop):
            if fault.code == STOPPED or stop.requested:
                raise Interrupted("training stopped; what it had reached is in its checkpoints")
            args.redo = False  # what was made again is not thrown away again
            newest = max(checkpoint_steps(folder), default=0)
            failures, reached = (failures + 1 if newest <= reached else 1), newest
            if not fault.retry:
                raise UserError(f"{fault.told}; it is not started again, as its message above says what to mend")
            if failures > args.retries:
                raise TryAgain(f"{fault.told}; {failures} attempts in a row have reached no checkpoint after {newest}")
            _pause(fault, failures, args.retries, newest, stop)


def _attempt(args: argparse.Namespace, workdir: Path, stop: StopRequest) -> Fault | None:
    """Start the processes, and return how they ended, None if well. The time of both is in the ledger."""
    first = (args.process or 0) == 0 and all(os.environ.get(name, "0") == "0" for name in RANKS)
    if first:
        append(workdir, {"launched": time.time()})
    several = args.processes or 1
    numbers = range(several) if several > 1 and not args.coordinator else [args.process or 0]
    fault = Watched(_commands(args, len(numbers)), numbers, workdir, args.hang).wait(stop)
    if first:
        append_rest(workdir)
        told = {"fault": fault.kind, "told": fault.told, "process": fault.process, "step": fault.step} if fault else {}
        code = fault.code if fault else 0
        append(workdir, {"exited": time.time(), "code": code, **(told if code != STOPPED else {})})
    return fault


def _commands(args: argparse.Namespace, count: int) -> list[list[str]]:
    """Return the command of each process; several that are all here meet at a port of this machine."""
    given = [args.config, *(f"--set={each}" for each in args.overrides), *(["--redo"] if args.redo else [])]
    command = [sys.executable, "-c", START, "train", *given, f"--heartbeat={args.heartbeat}"]
    if count > 1:
        meet = [f"--coordinator=127.0.0.1:{_free_port()}", f"--processes={count}"]
        return [[*command, *meet, f"--process={number}"] for number in range(count)]
    options = {"--coordinator": args.coordinator or None, "--processes": args.processes, "--process": args.process}
    return [[*command, *(f"{name}={value}" for name, value in options.items() if value is not None)]]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _pause(fault: Fault, failures: int, retries: int, newest: int, stop: StopRequest) -> None:
    """Say what happened, and wait before the next attempt: not at all for the first, then twice as long each time."""
    seconds = min(2.0 ** (failures - 2), LONGEST_WAIT) if failures > 1 else 0.0
    where = f"from the checkpoint of step {newest}" if newest else "from the start"
    after = f" in {seconds:.0f} s" if seconds else ""
    print_line(f"{fault.told}; started again {where}{after} (attempt {failures} of {retries})")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not stop.requested:
        time.sleep(0.1)
