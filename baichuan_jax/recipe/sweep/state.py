"""The state of every point of a sweep, on file: waiting, running, done or failed.

A point is run by the process that holds its lock, and only that process writes what it has come to. A file that says
"running" without a process that holds the lock is of one that was killed: the point waits, and goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.core.lock import is_held

SAME = 3  # points that fail alike before no other is begun
State = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True)
class PointState:
    """What has become of a point.

    figures: {name: value} of one that is done. seconds: of all processes that worked at it to their end. error, trace:
    of one that has failed, in a line and in full.
    """

    state: State = "waiting"
    started: str = ""
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    trace: str = ""
    trained_in: str = ""


class States:
    """The states of the points of a sweep in a directory."""

    def __init__(self, directory: Path):
        self.directory = directory / "states"

    def read(self, name: str) -> PointState:
        """Return the state of a point as its file has it."""
        path = self.directory / f"{name}.json"
        return PointState(**read_json(path)) if path.exists() else PointState()

    def now(self, name: str) -> State:
        """Return the state of a point, "waiting" where the process that ran it was killed."""
        state = self.read(name).state
        if state == "running" and not is_held(self.lock(name)):
            # It may have ended in between: what its file says now holds.
            state = self.read(name).state
            return "waiting" if state == "running" else state
        return state

    def write(self, name: str, state: PointState) -> None:
        """Write the state of a point."""
        write_json(self.directory / f"{name}.json", asdict(state))

    def lock(self, name: str) -> Path:
        """Return the lock file of a point."""
        return self.directory / f"{name}.lock"

    def log(self, name: str) -> Path:
        """Return what the processes of a point have printed."""
        return self.directory / f"{name}.log"

    def repeated_failure(self, names: Iterable[str]) -> str:
        """Return the error with which so many points have failed alike that others would too; "" if none has."""
        failed = [self.read(name) for name in names if (self.directory / f"{name}.json").exists()]
        counts = Counter(state.error for state in failed if state.state == "failed")
        return next((error for error, count in counts.items() if count >= SAME), "")
