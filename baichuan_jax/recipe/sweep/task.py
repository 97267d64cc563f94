"""Points as tasks of a runner: a worker starts the process of a point on cores of its own, and waits for it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from baichuan_jax.core.lock import exclusive
from baichuan_jax.recipe.sweep.child import FAILED
from baichuan_jax.recipe.sweep.state import States

CHILD = (sys.executable, "-P", "-m", "baichuan_jax.recipe.sweep.child")


@dataclass(frozen=True)
class PointTask:
    """Run the point of a number, whatever comes of it. It never raises for a point that fails: its state says so.

    names: of all points. cores: that one is pinned to; 0: to none. again: whether it is tried again, as others are not
    once several have failed alike.
    """

    directory: str
    names: tuple[str, ...]
    cores: int
    again: bool = False

    def __call__(self, number: int) -> None:
        states, name = States(Path(self.directory)), self.names[number]
        if not self.again and states.repeated_failure(self.names):
            return
        with _cores(states.directory, self.cores) as cores, states.log(name).open("ab") as log:
            code = _run(number, self.directory, cores, log)
        if code not in (0, FAILED):
            _note_death(states, name, code)


def _run(number: int, directory: str, cores: list[int], log: BinaryIO) -> int:
    """Run the process of a point to its end; return its exit code, negative for a signal."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    process = subprocess.Popen(
        (*CHILD, directory, str(number), ",".join(map(str, cores))),
        stdin=subprocess.PIPE,  # never written to: the process ends when it closes
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()


def _note_death(states: States, name: str, code: int) -> None:
    """Write that a process has died before it could say why."""
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    why = (
        f"its process was {how}, as happens where memory runs out" if code == -signal.SIGKILL else f"its process: {how}"
    )
    tail = states.log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
    with exclusive(states.lock(name), wait=True):
        state = states.read(name)
        if state.state != "done":
            states.write(name, replace(state, state="failed", error=why, trace="\n".join(tail)))


@contextmanager
def _cores(directory: Path, count: int) -> Iterator[list[int]]:
    """Yield cores that no other point of the sweep is pinned to; none where there is nothing to choose."""
    if not count or not hasattr(os, "sched_getaffinity"):
        yield []
        return
    allowed = sorted(os.sched_getaffinity(0))
    groups = [allowed[first : first + count] for first in range(0, len(allowed) - count + 1, count)] or [allowed]
    for last, group in ((number == len(groups) - 1, group) for number, group in enumerate(groups)):
        with (directory / f"{socket.gethostname()}-core{group[0]}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if last else fcntl.LOCK_NB))
            except BlockingIOError:
                continue
            yield group
            return
