"""A phase: a task for each of some numbers; datatrove's executor remembers those that have completed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datatrove.executor.local import LocalPipelineExecutor

# Called with its number, it writes its outputs itself. Workers get it pickled: a module's function or dataclass.
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
        """Run a task in this process, unless it has completed; raises what it raises."""
        if not self._executor.is_rank_completed(number):
            self.task(number)
            self._executor.mark_rank_as_completed(number)

    @property
    def _executor(self) -> LocalPipelineExecutor:
        # Its `run` is not used: it forks, and waits for ever once a process of its pool is killed. Nor is what it does
        # for one task: a log costs 10 ms, and all that it would hold of ours is the trace that an error has anyway.
        return LocalPipelineExecutor([], tasks=self.count, logging_dir=str(self.directory))
