"""How a task ended: None if it completed, else one of these values, which travel between processes and machines."""

from __future__ import annotations

import pickle
import traceback
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from baichuan_jax.core.errors import UserError
from baichuan_jax.jobs.phase import Phase

ATTEMPTS = 3  # processes that a task may lose
Completed = Callable[[int], None]  # called with the number of tasks that have completed since the last call


@dataclass(frozen=True)
class Failure:
    """A task raised an error. trace: where, as Python prints it."""

    error: Exception
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the failure that the exception being handled makes; one that cannot travel becomes a RuntimeError."""
        trace = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(repr(error))
        return cls(error, trace)

    def reraise(self, phase: Phase, number: int) -> NoReturn:
        """Raise the error in the driver, with its trace as the cause."""
        raise self.error from RuntimeError(f"task {number} of phase {phase.name!r}\n{self.trace}")


@dataclass(frozen=True)
class Death:
    """The process of a task ended while it ran. how: "was killed by SIGKILL". log: where its last words may be."""

    how: str
    log: str


class Slots(Protocol):
    """Places where tasks run, `size` of them at once."""

    size: int

    def start(self, phase: Phase, number: int) -> None:
        """Start a task in a free place."""

    def wait(self) -> dict[int, Failure | Death | None]:
        """Wait until at least one task has ended, and return how those that have did."""


def run_task(phase: Phase, number: int) -> Failure | None:
    """Run a task, and return how it ended."""
    try:
        phase.run(number)
    except Exception as error:
        return Failure.of(error)
    return None


def run_all(slots: Slots, phase: Phase, numbers: Sequence[int], completed: Completed) -> None:
    """Run tasks in order as places get free, and tells `completed`. One that loses its process is started again.

    Raise the error of the first task that failed, or that has lost ATTEMPTS processes (UserError). After a failure
    only tasks before it still run to their end; to stop the others is up to the caller.
    """
    waiting, running, deaths = deque(numbers), set(), Counter()
    failed: tuple[int, Failure] | None = None
    while waiting or running:
        while waiting and len(running) < slots.size:
            slots.start(phase, waiting[0])
            running.add(waiting.popleft())
        for number, end in slots.wait().items():
            running.remove(number)
            if isinstance(end, Death):
                deaths[number] += 1
                if deaths[number] < ATTEMPTS:
                    waiting.appendleft(number)
                    continue
                end = Failure(_lost(phase, number, end), "")
            if end is None:
                completed(1)
            elif failed is None or number < failed[0]:
                failed = number, end
        if failed is not None:
            waiting = deque(number for number in waiting if number < failed[0])
            if not waiting and min(running, default=phase.count) > failed[0]:
                failed[1].reraise(phase, failed[0])


def _lost(phase: Phase, number: int, death: Death) -> UserError:
    return UserError(
        f"task {number} of phase {phase.name!r} lost its process {ATTEMPTS} times (the last {death.how}), perhaps "
        "because memory ran out; free some, run fewer at once (RunnerConfig.workers) or make tasks smaller "
        "(DataConfig.task_bytes, TokenizerConfig.shard_bytes), "
        f"and run the same command to go on. Logs: {death.log}"
    )
