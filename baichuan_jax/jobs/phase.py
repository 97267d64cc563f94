"""A phase: tasks with the numbers 0 to count - 1; datatrove's executor records which have completed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datatrove.executor.local import LocalPipelineExecutor

# Called with the number of the task; writes its outputs itself. It is pickled for the workers, so it is a function of
# a module or an instance of a dataclass.
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

    def run(self, number: int) -> None:
        """Run a task in this process, unless it has completed. Raise what the task raises."""
        if not self._executor.is_rank_completed(number):
            self.task(number)
            self._executor.mark_rank_as_completed(number)

    @property
    def _executor(self) -> LocalPipelineExecutor:
        # Its `run` is not used: it forks, and waits for ever once a process of its pool is killed. Nor is its method
        # for a single task: the log takes 10 ms, and would hold nothing but the traceback that an error has anyway.
        return LocalPipelineExecutor([], tasks=self.count, logging_dir=str(self.directory))
