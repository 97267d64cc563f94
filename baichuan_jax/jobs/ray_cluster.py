"""Run tasks on a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.phase import Phase
from baichuan_jax.jobs.task_outcome import Completed, Death, Failure, run_all, run_task


class RayCluster:
    """Run phases on Ray, as the slots of `run_all`.

    datatrove's executor for Ray is not used: it runs tasks in a pool of forked processes inside an actor, and hangs
    once one of them is killed, as happens when memory runs out.
    """

    def __init__(self, cfg: RunnerConfig, _directory: Path):
        try:
            import ray
        except ImportError:
            raise UserError(
                "RunnerConfig.kind = 'ray' needs Ray, which is not installed: pip install -e '.[scale]'"
            ) from None
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        local = {"address": "local", "num_cpus": cfg.workers, "include_dashboard": False}
        cluster = {"address": cfg.address} if cfg.address else local
        ray.init(**cluster, log_to_driver=False, logging_level=logging.ERROR)
        self.size = cfg.workers
        self._ray, self._cfg = ray, cfg
        self._put: tuple[Phase, object] | None = None
        self._running: dict[object, int] = {}

    def run(self, phase: Phase, numbers: Sequence[int], completed: Completed) -> None:
        """Run tasks. Raise what `run_all` does."""
        run_all(self, phase, numbers, completed)

    def start(self, phase: Phase, number: int) -> None:
        """Submit a task to Ray."""
        if self._put is None or self._put[0] is not phase:
            self._put = phase, self._ray.put(phase)
        task = self._ray.remote(num_cpus=1, memory=self._cfg.memory << 30, max_retries=0)(run_task)
        self._running[task.remote(self._put[1], number)] = number

    def wait(self) -> dict[int, Failure | Death | None]:
        """Wait until at least one task has ended; return {task: outcome} of the ended tasks."""
        ready, _ = self._ray.wait(list(self._running))
        return {self._running.pop(task): self._end(task) for task in ready}

    def _end(self, task: object) -> Failure | Death | None:
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:  # raised before the task began
            return Failure.of(error)
        except self._ray.exceptions.RayError as error:
            return Death(type(error).__name__, "those of Ray")

    def close(self) -> None:
        """Disconnect from the cluster, which stops the running tasks; shut it down if it was started here."""
        self._ray.shutdown()
