"""A phase: a task for each of some numbers, run by datatrove, which remembers those that have completed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from datatrove.executor.local import LocalPipelineExecutor
from loguru import logger

# Called with its number, it writes its outputs itself. Workers get it pickled: a module's function or dataclass.
Task = Callable[[int], None]


@dataclass(frozen=True)
class Phase:
    """Tasks 0 to count - 1. directory: where datatrove writes completions/00007 and logs/task_00007.log."""

    name: str
    task: Task
    count: int
    directory: Path

    def incomplete(self) -> list[int]:
        """Returns the tasks that have not completed, in order."""
        return self._executor(sys.stderr).get_incomplete_ranks()

    def run(self, number: int) -> None:
        """Runs a task in this process, unless it has completed; raises what it raises."""
        executor = self._executor(sys.stderr)
        with quiet():
            executor._run_for_rank(number, local_rank=1)

    def log(self, number: int) -> Path:
        """Returns the log of a task."""
        return self.directory / "logs" / f"task_{number:05}.log"

    def _executor(self, stderr: TextIO) -> LocalPipelineExecutor:
        # Its `run` is not used: it forks, and waits for ever once a process of its pool is killed.
        return LocalPipelineExecutor([Step(self, stderr)], tasks=self.count, logging_dir=str(self.directory))


class Step:
    """A phase as the one step of a datatrove pipeline. stderr: what the task has as standard error, if not the usual.

    No dataclass: datatrove logs those with all they hold.
    """

    def __init__(self, phase: Phase, stderr: TextIO | None = None):
        self._phase, self._stderr = phase, stderr

    def __call__(self, _data: None, rank: int, _world_size: int) -> None:
        with redirect_stderr(self._stderr or sys.stderr):
            self._phase.task(rank)

    def __repr__(self) -> str:
        return f"{self._phase.name}: {type(self._phase.task).__name__}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps datatrove's messages off standard error; those in its files stay."""
    logger.remove()  # what it puts there when it is imported
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        try:
            yield
        finally:
            logger.remove()
