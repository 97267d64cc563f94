"""A phase: tasks with the numbers 0 to count - 1; datatrove's executor records which have completed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from datatrove.executor.local import LocalPipelineExecutor

# Called with the number of the task; writes its outputs itself. It is pickled for the workers, so it must be a
# module-level function or an instance of a dataclass.
Task = Callable[[int], None]


@dataclass(frozen=True)
class Phase:
    """Tasks 0 to count - 1. directory: where datatrove writes completions/00007."""

    name: str
    task: Task
    count: int
    directory: Path

    def incomplete(self) -> list[int]:
        """Return the tasks that have not completed, in order."""
        return self._executor.get_incomplete_ranks()

    def ask_for(self, numbers: Collection[int]) -> None:
        """Count these tasks as incomplete, whether they completed or not, and all others as completed."""
        for number in range(self.count):
            if number in numbers:
                (self.directory / "completions" / f"{number:05}").unlink(missing_ok=True)
            else:
                self._executor.mark_rank_as_completed(number)

    def run(self, number: int) -> None:
        """Run a task in this process, unless it has completed. Raise what the task raises."""
        if not self._executor.is_rank_completed(number):
            self.task(number)
            self._executor.mark_rank_as_completed(number)

    @property
    def _executor(self) -> LocalPipelineExecutor:
        # Its `run` is not used: it forks, and hangs once a process of its pool is killed. Its method for a single task
        # is not used either: its log takes 10 ms per task and adds nothing to the traceback of an error.
        return LocalPipelineExecutor([], tasks=self.count, logging_dir=str(self.directory))
