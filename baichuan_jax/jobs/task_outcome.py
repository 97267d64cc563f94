"""Outcome of a task: None if it completed, a Failure or a Death. Outcomes are pickled between processes."""

from __future__ import annotations

import pickle
import traceback
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from baichuan_jax.core.errors import UserError
from baichuan_jax.jobs.phase import Phase

ATTEMPTS = 3  # processes that a task may lose before it is given up
Completed = Callable[[int], None]  # called with the number of tasks that have completed since the last call


@dataclass(frozen=True)
class Failure:
    """A task raised an exception. trace: its traceback as text."""

    error: Exception
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the failure for an exception; an exception that cannot be pickled becomes a RuntimeError."""
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
    """The process of a task died while the task ran. how: "killed by SIGKILL". log: path of its output."""

    how: str
    log: str


class Slots(Protocol):
    """An engine that runs up to `size` tasks at once."""

    size: int

    def start(self, phase: Phase, number: int) -> None:
        """Start a task in a free slot."""

    def wait(self) -> dict[int, Failure | Death | None]:
        """Wait until at least one task has ended; return {task: outcome} of the ended tasks."""


def run_task(phase: Phase, number: int) -> Failure | None:
    """Run a task in this process; return its outcome."""
    try:
        phase.run(number)
    except Exception as error:
        return Failure.of(error)
    return None


def run_all(slots: Slots, phase: Phase, numbers: Sequence[int], completed: Completed) -> None:
    """Run tasks in order as slots become free, and report to `completed`. Restart a task whose process dies.

    Raise the error of the first failed task, or UserError if a task has lost ATTEMPTS processes. After a failure, wait
    only for the tasks before it; the caller stops the others.
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
        f"the process of task {number} of phase {phase.name!r} died {ATTEMPTS} times (last: {death.how}), possibly for "
        "lack of memory; free memory, lower RunnerConfig.workers or make tasks smaller (DataConfig.task_bytes, "
        f"TokenizerConfig.shard_bytes), then run the same command to continue. Logs: {death.log}"
    )
