"""The runner: phases of tasks, on whatever engine the config names."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from baichuan_jax.core.interrupt import may_handle_signals
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.local_workers import LocalWorkers
from baichuan_jax.jobs.phase import Phase, Task
from baichuan_jax.jobs.ray_cluster import RayCluster
from baichuan_jax.jobs.slurm import Slurm

ENGINES = {"local": LocalWorkers, "slurm": Slurm, "ray": RayCluster}


class Runner:
    """Runs phases, and remembers which tasks have completed; a context, for its processes live from phase to phase.

    directory: for logs and marks of completion. No process outlives the context. Within it SIGTERM is a
    KeyboardInterrupt, as Ctrl-C is, if signals are ours to handle.
    """

    def __init__(self, cfg: RunnerConfig, directory: Path):
        self._cfg, self._directory = cfg, directory

    def __enter__(self) -> Runner:
        self._previous = signal.getsignal(signal.SIGTERM)  # before Ray puts its own
        self._engine = ENGINES[self._cfg.kind](self._cfg, self._directory)
        self._handles = may_handle_signals()
        if self._handles:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        return self

    def __exit__(self, *_error: object) -> None:
        self._engine.close()
        if self._handles:
            signal.signal(signal.SIGTERM, self._previous)

    def run(self, name: str, task: Task, count: int, progress: Callable[[int, int], None] | None = None) -> None:
        """Run task(0) to task(count - 1), but for those that have completed in an earlier run.

        name: of the phase, a directory of that name keeps its logs. progress: called as progress(tasks done, count).

        Raise what the first task that failed raised, with the trace of its process as the cause; UserError if a task
        loses its process again and again. After an error other tasks may still run: leave the context.
        """
        phase = Phase(name, task, count, self._directory / name)
        waiting = phase.incomplete()
        done = count - len(waiting)

        def completed(tasks: int) -> None:
            nonlocal done
            done += tasks
            if progress is not None:
                progress(done, count)

        completed(0)
        if waiting:
            self._engine.run(phase, waiting, completed)
