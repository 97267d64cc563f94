"""Where the wall time of a training went, across restarts: a ledger that is only appended to, and its sums.

A process appends what it has measured at every checkpoint and evaluation. What it had measured since stays in its
heartbeat when it dies, and is appended by whoever comes next. A supervisor adds when it started processes, and how and
when they ended. Times are in seconds since the epoch.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.heartbeat import Beat, read_beat

FILE = "goodput.jsonl"  # in the workdir of a run
INIT, COMPILE, RESTORE, INPUT, STEP = "init", "compile", "restore", "input wait", "step"
SAVE, VALIDATION, LOST, DOWN = "save stall", "validation", "lost work", "down"
PARTS = (INIT, COMPILE, RESTORE, INPUT, STEP, SAVE, VALIDATION, LOST, DOWN)
WORK = (INPUT, STEP, SAVE, VALIDATION)  # what is lost with the steps that it was for
UNEXPLAINED = "unexplained"
Line = dict[str, Any]


def append(workdir: Path, line: Line) -> None:
    """Append a line to the ledger, unless the disk is full: training is worth more."""
    path = workdir / FILE
    with suppress(OSError), path.open("ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        whole = size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n"
        file.write(f"{'' if whole else chr(10)}{json.dumps(line)}\n".encode())


def read_ledger(workdir: Path) -> list[Line]:
    """Return the lines of the ledger; those cut short are left out."""
    path, found = workdir / FILE, []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def read_goodput(workdir: Path) -> Goodput:
    """Return where the time of the training of a run went so far. Raise UserError if none is on record."""
    beat, lines = read_beat(workdir, 0), read_ledger(workdir)
    if not (lines or beat):
        raise UserError(f"there is no record of training in {workdir}; train first: baichuan-jax train CONFIG")
    return sum_up([*lines, *rest_of(beat, lines)])


def append_rest(workdir: Path) -> None:
    """Append what the first process had measured after its last line when it ended."""
    for line in rest_of(read_beat(workdir, 0), read_ledger(workdir)):
        append(workdir, line)


def rest_of(beat: Beat | None, lines: Iterable[Line]) -> list[Line]:
    """Return the line of what a process has measured after its last line, if it has."""
    if beat is None:
        return []
    known = [line["until"] for line in lines if line.get("begun") == beat.begun]
    if max(known, default=0.0) >= beat.time:
        return []
    return [measured(beat.begun, beat.time, beat.step, beat.seconds) | {"phase": beat.phase}]


def measured(begun: float, until: float, step: int, seconds: Mapping[str, float]) -> Line:
    """Return the line of what a process has measured since its last, when a step was its last."""
    rounded = {part: round(value, 6) for part, value in seconds.items()}
    return {"begun": begun, "until": until, "step": step, "seconds": rounded}


@dataclass
class Goodput:
    """The wall time of a training in parts, in seconds.

    start, end: the clock that it is measured by. starts: how many processes there were, one after the other. saves: of
    checkpoints, of lost work too. faults: how those ended that a supervisor saw end by a fault.
    """

    start: float = 0.0
    end: float = 0.0
    starts: int = 0
    saves: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    faults: list[Line] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Seconds of the clock."""
        return self.end - self.start

    @property
    def save(self) -> float:
        """Seconds that training stands for a checkpoint."""
        return self.seconds.get(SAVE, 0.0) / max(1, self.saves)

    @property
    def restart(self) -> float:
        """Seconds from the end of a process to the first step of the next, or those of a first start."""
        return sum(self.seconds.get(part, 0.0) for part in (INIT, COMPILE, RESTORE, DOWN)) / max(1, self.starts)

    def record(self) -> dict[str, Any]:
        """Return it as JSON values. What no part has measured is "unexplained"; goodput is the share of steps."""
        seconds = {part: round(self.seconds.get(part, 0.0), 3) for part in PARTS}
        seconds[UNEXPLAINED] = round(self.total - sum(self.seconds.values()), 3)
        shares = {part: round(value / self.total, 5) if self.total else 0.0 for part, value in seconds.items()}
        return {
            "total_seconds": round(self.total, 3),
            "goodput": shares[STEP],
            "starts": self.starts,
            "save_seconds": round(self.save, 3),
            "restart_seconds": round(self.restart, 3),
            "seconds": seconds,
            "shares": shares,
            "faults": self.faults,
        }


def sum_up(lines: Iterable[Line]) -> Goodput:
    """Return where the time went, by the lines of a ledger.

    Work on steps after the checkpoint that training goes on from is lost. From the last sign of a process to its end,
    as a supervisor saw it, it was in the phase that it named last. From there to the next start the run is down;
    without a supervisor, from the last sign. So it is while a process ends that is done with training.
    """
    found = _Sums()
    for line in lines:
        if "launched" in line:
            found.start(line["launched"])
        elif "exited" in line:
            found.exit(line)
        elif "seconds" in line:
            found.measured(line)
    return found.total()


class _Sums:
    def __init__(self) -> None:
        self._found, self._down = Goodput(), 0.0
        self._work: list[tuple[int, Counter[str]]] = []  # (the step that it was for, seconds of parts)
        self._begun: float | None = None  # when the process was started that the last line is of
        self._launched = False  # whether a supervisor has started a process that has not written yet
        self._phase, self._step = "", 0

    def start(self, now: float) -> None:
        """Begin with the next process."""
        if self._found.starts:
            self._down += now - self._found.end
        else:
            self._found.start = now
        self._found.starts += 1
        self._found.end, self._phase, self._launched = now, INIT, True

    def measured(self, line: Line) -> None:
        """Add what a process has measured."""
        if line["begun"] != self._begun:
            if not self._launched:
                self.start(line["begun"])
            self._begun, self._launched = line["begun"], False
        if "from" in line:
            self._lose(line["from"])
        self._step, self._found.end = line["step"], line["until"]
        self._phase = DOWN if line.get("ended") else line.get("phase", "")
        self._work.append((self._step, Counter(line["seconds"])))
        self._found.saves += SAVE in line["seconds"]

    def exit(self, line: Line) -> None:
        """Add the last phase of a process, which its end cut short."""
        if self._phase:
            self._work.append((self._step + 1, Counter({self._phase: line["exited"] - self._found.end})))
        self._found.end, self._phase, self._launched = line["exited"], "", False
        self._found.faults += [line] if line.get("fault") else []

    def _lose(self, step: int) -> None:
        """Count the work after a step as lost."""
        for place, (reached, entry) in enumerate(self._work):
            if reached > step:
                entry[LOST] += sum(entry.pop(part, 0.0) for part in WORK)
                self._work[place] = (step, entry)

    def total(self) -> Goodput:
        """Return the sums."""
        seconds = Counter({DOWN: self._down})
        for _, entry in self._work:
            seconds.update(entry)
        self._found.seconds = dict(seconds)
        return self._found
