"""Run tasks on a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.extras import install_extra
from baichuan_jax.jobs.config import USUAL_MEMORY, RunnerConfig
from baichuan_jax.jobs.phase import Phase
from baichuan_jax.jobs.task_outcome import Completed, Death, Failure, run_all, run_task

REACHABLE = 5.0  # seconds in which a cluster answers


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
                f"RunnerConfig.kind = 'ray' needs Ray, which is not installed: {install_extra('scale')}"
            ) from None
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self.size = cfg.workers
        self._ray = ray
        self._join(cfg)
        try:
            self._memory = task_memory(cfg, ray.nodes())
        except UserError:
            self.close()
            raise
        self._put: tuple[Phase, object] | None = None
        self._running: dict[object, int] = {}

    def _join(self, cfg: RunnerConfig) -> None:
        """Start a cluster on this machine, or join one. Raise UserError if there is none."""
        local = {"address": "local", "num_cpus": cfg.workers, "include_dashboard": False}
        check_reachable(cfg.address)
        try:
            self._ray.init(
                **({"address": cfg.address} if cfg.address else local),
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (Exception, SystemExit) as error:  # it exits where what listens at the address is no cluster
            why = (str(error).strip().splitlines() or [""])[0][:200] or type(error).__name__
            raise UserError(f"RunnerConfig.address = {cfg.address!r}: no Ray cluster to use ({why})") from None

    def run(self, phase: Phase, numbers: Sequence[int], completed: Completed) -> None:
        """Run tasks. Raise what `run_all` does."""
        run_all(self, phase, numbers, completed)

    def start(self, phase: Phase, number: int) -> None:
        """Submit a task to Ray."""
        if self._put is None or self._put[0] is not phase:
            self._put = phase, self._ray.put(phase)
        task = self._ray.remote(num_cpus=1, memory=self._memory, max_retries=0)(run_task)
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


def check_reachable(address: str) -> None:
    """Raise UserError if nothing listens at HOST:PORT. Ray itself waits for minutes, and writes what it waits for."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():  # '', 'auto', 'local'
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHABLE).close()
    except OSError as error:
        raise UserError(
            f"RunnerConfig.address = {address!r}: no Ray cluster answers there ({error.strerror or error}); start one "
            "(ray start --head prints its address), or leave the address out to start one on this machine"
        ) from None


def task_memory(cfg: RunnerConfig, nodes: Sequence[Mapping[str, Any]]) -> int:
    """Return the bytes that a task asks Ray for. Raise UserError if no node has as many: Ray would wait for one."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    usable = [resources for resources in alive if resources.get("CPU", 0) >= 1]
    if not usable:
        raise UserError("the Ray cluster has no node with a core for tasks; add one, or choose another cluster")
    largest = max(int(resources.get("memory", 0)) for resources in usable)
    if not cfg.memory:
        each = (int(r.get("memory", 0) / min(cfg.workers, r["CPU"])) for r in usable)
        return min(USUAL_MEMORY << 30, max(each))
    if cfg.memory << 30 > largest:
        raise UserError(
            f"RunnerConfig.memory = {cfg.memory}: no node of the Ray cluster has {cfg.memory} GB for a task, the "
            f"largest has {largest / 2**30:.1f}; lower it, or leave it out to take what there is"
        )
    return cfg.memory << 30
