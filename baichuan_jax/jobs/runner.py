"""The runner: phases of tasks on the engine that RunnerConfig.kind names."""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection
from pathlib import Path

from baichuan_jax.core.interrupt import may_handle_signals, stop_on_signal, unwinding
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.local_workers import LocalWorkers
from baichuan_jax.jobs.phase import Phase, Task
from baichuan_jax.jobs.ray_cluster import RayCluster
from baichuan_jax.jobs.slurm import Slurm

ENGINES = {"local": LocalWorkers, "slurm": Slurm, "ray": RayCluster}


class Runner:
    """Run phases, and record which tasks have completed. A context manager: its processes live for all phases.

    directory: of logs and completion marks. No process outlives the context. Within it SIGTERM raises
    KeyboardInterrupt, as Ctrl-C does, if this process may handle signals.
    """

    def __init__(self, cfg: RunnerConfig, directory: Path):
        self._cfg, self._directory = cfg, directory

    def __enter__(self) -> Runner:
        self._previous = signal.getsignal(signal.SIGTERM)  # before Ray installs its own handler
        self._engine = ENGINES[self._cfg.kind](self._cfg, self._directory)
        self._unwinding = unwinding()
        self._unwinding.__enter__()
        self._handles = may_handle_signals()
        if self._handles:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        return self

    def __exit__(self, *_error: object) -> None:
        self._unwinding.__exit__(None, None, None)
        with stop_on_signal("its jobs are ended"):
            self._engine.close()
        if self._handles:
            signal.signal(signal.SIGTERM, self._previous)

    def run(
        self,
        name: str,
        task: Task,
        count: int,
        progress: Callable[[int, int], None] | None = None,
        only: Collection[int] | None = None,
    ) -> None:
        """Run task(0) to task(count - 1), except those that completed in an earlier run.

        name: of the phase and of the directory of its logs. progress: called as progress(tasks done, count). only: the
        tasks to run, whether they completed earlier or not.

        Raise the exception of the first failed task, with the traceback of its process as the cause, or UserError if a
        task has lost its process ATTEMPTS times. After an error other tasks may still run: leave the context.
        """
        phase = Phase(name, task, count, self._directory / name)
        if only is not None:
            phase.ask_for(only)
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
