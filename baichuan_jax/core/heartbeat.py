"""Heartbeats: a small file for each process of a training, which says where that is, and stays when it dies."""

from __future__ import annotations

import json
import mmap
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = "heartbeats"  # in the workdir of a run
SIZE = 2048  # bytes of a file


@dataclass(frozen=True)
class Beat:
    """Where a process is.

    begun, time: when the process was started and when this was written, in seconds since the epoch. step: the last that
    was finished. phase: what it is doing, "" between phases. last: the phase that it finished last. within: seconds in
    which the next beat is due, None where nobody can say. seconds: of parts that are not in the ledger yet. fault,
    message: how it ended, if it did so by an error of a known kind.
    """

    process: int
    pid: int
    host: str
    begun: float
    time: float
    step: int
    phase: str
    last: str
    within: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""
    message: str = ""


class Heartbeat:
    """Writes the heartbeat of a process, which was started at `begun`.

    The file is in memory that the system writes to disk: a beat costs microseconds, and outlives the process. Where
    there is no room for the file there are no beats.
    """

    def __init__(self, workdir: Path, process: int, begun: float):
        self._fixed = {"process": process, "pid": os.getpid(), "host": socket.gethostname(), "begun": begun}
        self._memory: mmap.mmap | None = None
        path = _path(workdir, process)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb+") as file:
                os.posix_fallocate(file.fileno(), 0, SIZE)  # a write to memory without room for it kills the process
                self._memory = mmap.mmap(file.fileno(), SIZE)

    def write(self, **beat: Any) -> None:
        """Replace the beat before by these fields of `Beat`."""
        if self._memory is not None:
            text = json.dumps({**self._fixed, **beat}).encode()
            self._memory[:] = text[:SIZE].ljust(SIZE)


def read_beat(workdir: Path, process: int) -> Beat | None:
    """Return the last beat of a process, None if there is none, or it is being written."""
    try:
        return Beat(**json.loads(_path(workdir, process).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def read_beats(workdir: Path) -> dict[int, Beat]:
    """Return the last beat of every process that can be read, by its number."""
    numbers = sorted(int(path.stem) for path in (workdir / FOLDER).glob("[0-9]*.json"))
    beats = {number: read_beat(workdir, number) for number in numbers}
    return {number: beat for number, beat in beats.items() if beat}


def _path(workdir: Path, process: int) -> Path:
    return workdir / FOLDER / f"{process}.json"
