"""What a training is doing: measured for the ledger of wall time, and told by heartbeats."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import MappingProxyType

from baichuan_jax.core.disk import fault_of
from baichuan_jax.core.goodput import INIT, INPUT, STEP, append, append_rest, measured
from baichuan_jax.core.heartbeat import Heartbeat

QUIET = 8.0  # seconds without a sign that are nothing
REMEMBERED = 64  # steps that the next one is expected to take as long as


class Phases:
    """Measures the phases of a process, and writes a heartbeat when one begins. A context manager.

    workdir: of the run; None: nothing is written. process: its number; the first keeps the ledger. age: for how many
    seconds the process has been at work on this. It is in the phase "init" until `begin`.
    """

    def __init__(self, workdir: Path | None = None, process: int = 0, age: float = 0.0):
        self.first = process == 0
        self._ledger = workdir if self.first else None
        self._begun, self._mark = time.time() - age, time.perf_counter() - age
        self._open, self._seconds = [INIT], Counter[str]()
        self._step, self._last = 0, ""
        self._steps: deque[float] = deque(maxlen=REMEMBERED)  # seconds of each
        self._within: float | None = None
        self._judged = 0.0
        if self._ledger:
            append_rest(self._ledger)
        self._heartbeat = Heartbeat(workdir, process, self._begun) if workdir else None
        self._beat()

    def __enter__(self) -> Phases:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.write({"ended": 1}, error)

    def begin(self, step: int) -> None:
        """Note that training goes on from a step; what there was before is done."""
        self._switch()
        self._open.clear()
        self._step = step
        self.write({"from": step})

    @contextmanager
    def of(self, phase: str) -> Iterator[None]:
        """Count the time of the block to a phase; that of a phase inside it is left out."""
        start = self._switch()
        self._open.append(phase)
        self._beat()
        yield
        self._last, end = phase, self._switch()
        self._open.pop()
        if phase == STEP:
            self._steps.append(end - start)

    def finished(self, step: int) -> None:
        """Note the step that was finished."""
        self._step = step

    def write(self, also: Mapping[str, int] = MappingProxyType({}), of: BaseException | None = None) -> None:
        """Append what was measured since the last call to the ledger.

        also: what else the line says. of: the error that training ends with.
        """
        self._switch()
        seconds, self._seconds, now = self._seconds, Counter(), time.time()
        if self._ledger:
            append(self._ledger, measured(self._begun, now, self._step, seconds) | also)
        self._beat(of, now)  # of the same time: what is in the ledger is not added to it again

    def _switch(self) -> float:
        """Count the time since the last call to the phase that is open; return the time."""
        now = time.perf_counter()
        if self._open:
            self._seconds[self._open[-1]] += now - self._mark
        self._mark = now
        return now

    def _beat(self, error: BaseException | None = None, now: float | None = None) -> None:
        if self._heartbeat is None:
            return
        phase = self._open[-1] if self._open else ""
        self._heartbeat.write(
            time=now or time.time(),
            step=self._step,
            phase=phase,
            last=self._last,
            within=self._expected() if phase in (INPUT, STEP) else None,
            seconds=self._seconds,
            fault=fault_of(error),
            message=str(error or "")[:500],
        )

    def _expected(self) -> float | None:
        """Return the seconds in which a step should be over, None after too few of them.

        A host that runs ahead of its devices waits for several steps at once.
        """
        if self._mark - self._judged > 1 and len(self._steps) > 2:
            self._judged = self._mark
            self._within = max(QUIET, 2.5 * median(self._steps), 1.5 * max(self._steps))
        return self._within
