"""How a task ended: None if it completed, else a Failure or a Death. Both are sent between processes and machines."""

from __future__ import annotations

import pickle
import traceback
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from baichuan_jax.core.errors import UserError
from baichuan_jax.jobs.phase import Phase

ATTEMPTS = 3  # a task that has lost so many processes is not started again
Completed = Callable[[int], None]  # called with the number of tasks that have completed since the last call


@dataclass(frozen=True)
class Failure:
    """A task raised an error. trace: the traceback, as Python prints it."""

    error: Exception
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the failure for an exception; one that cannot be pickled becomes a RuntimeError."""
        trace = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(repr(error))
        return cls(error, trace)

    def reraise(self, phase: Phase, number: int) -> NoReturn:
        """Raise the error in the driver, with its traceback as the cause."""
        raise self.error from RuntimeError(f"task {number} of phase {phase.name!r}\n{self.trace}")


@dataclass(frozen=True)
class Death:
    """The process of a task ended while the task ran. how: "was killed by SIGKILL". log: the output of the process."""

    how: str
    log: str


class Slots(Protocol):
    """What runs up to `size` tasks at once."""

    size: int

    def start(self, phase: Phase, number: int) -> None:
        """Start a task in a free slot."""

    def wait(self) -> dict[int, Failure | Death | None]:
        """Wait until at least one task has ended; return {task: how it ended} of those that have."""


def run_task(phase: Phase, number: int) -> Failure | None:
    """Run a task in this process; return how it ended."""
    try:
        phase.run(number)
    except Exception as error:
        return Failure.of(error)
    return None


def run_all(slots: Slots, phase: Phase, numbers: Sequence[int], completed: Completed) -> None:
    """Run tasks in order as slots become free, and report to `completed`. Restart a task whose process dies.

    Raise the error of the first task that failed, or UserError if it has lost ATTEMPTS processes. After a failure only
    the tasks before it are waited for; stopping the others is up to the caller.
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
