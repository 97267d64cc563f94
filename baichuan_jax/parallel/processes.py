"""Several processes as one run: initialize the process group, synchronize, and shut down."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import jax
import numpy as np
from jax.experimental import multihost_utils

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.interrupt import Interrupted
from baichuan_jax.core.memory import OutOfMemory
from baichuan_jax.core.process_group import SINGLE_PROCESS, ProcessGroup, ProcessLost


@dataclass(frozen=True)
class Start:
    """How the processes of a run find each other; all of them run the same command.

    coordinator: host:port of the first process; empty: detect the cluster (Cloud TPU, GKE, Slurm, Open MPI, an indexed
    Kubernetes job). processes: their number; 1 skips the detection. process: number of this process. heartbeat: seconds
    without a heartbeat after which a process counts as dead.
    """

    coordinator: str = ""
    processes: int | None = None
    process: int | None = None
    heartbeat: int = 100

    def __post_init__(self) -> None:
        require(self.heartbeat > 0, "--heartbeat", self.heartbeat, "a positive number of seconds")
        if not self.coordinator:
            require(self.processes in (None, 1), "--processes", self.processes, "--coordinator HOST:PORT with it")
            require(self.process is None, "--process", self.process, "--coordinator HOST:PORT with it")
            return
        host, _, port = self.coordinator.rpartition(":")
        require(bool(host) and port.isdigit(), "--coordinator", self.coordinator, "HOST:PORT of the first process")
        require((self.processes or 0) > 0, "--processes", self.processes, "how many processes there are")
        known = self.process is not None and 0 <= self.process < self.processes
        require(known, "--process", self.process, f"the number of this process, 0 to {self.processes - 1}")


class Joined(ProcessGroup):
    """A process group initialized by JAX."""

    def on_primary(self, act: Callable[[], None]) -> None:
        """Run `act` in the first process once all processes are here; the others wait, and fail if it fails."""
        multihost_utils.sync_global_devices("before the first process acts")
        failure = None
        if self.is_primary:
            try:
                act()
            except Exception as error:
                failure = error
        if multihost_utils.broadcast_one_to_all(np.int32(failure is not None)):
            raise failure or UserError("the first process failed; see its message")


def cluster_at_hand(environment: Mapping[str, str]) -> bool:
    """Return whether JAX should detect a cluster. In a pod that works only for indexed Kubernetes jobs.

    Raise UserError if the package that JAX needs for it is missing.
    """
    in_pod = "KUBERNETES_SERVICE_HOST" in environment and "TPU_WORKER_HOSTNAMES" not in environment
    if not in_pod:
        return True
    if "JOB_COMPLETION_INDEX" not in environment:
        return False
    try:
        import kubernetes  # noqa: F401
    except ImportError:
        raise UserError(
            "this pod belongs to an indexed Kubernetes job: pass --coordinator, --processes and --process (as "
            "configs/cluster does), or --processes 1, or pip install kubernetes to detect them"
        ) from None
    return True


@contextmanager
def joined(start: Start) -> Iterator[ProcessGroup]:
    """Yield the process group of this run; enter it before any computation.

    Raise UserError if expected processes are missing, and ProcessLost if one disappears.
    """
    alone = start.processes == 1 or not (start.coordinator or cluster_at_hand(os.environ))
    if alone or not _initialize(start):
        yield SINGLE_PROCESS
        return
    processes = Joined(jax.process_index(), jax.process_count())
    try:
        yield processes
    except jax.errors.JaxRuntimeError as error:
        if processes.count == 1 or "RESOURCE_EXHAUSTED" in str(error):  # out of memory: no process was lost
            raise
        raise ProcessLost(
            f"process {processes.number} of {processes.count} lost a peer ({str(error).splitlines()[0]})"
        ) from error
    except OutOfMemory:  # the others need not come here
        raise
    except (UserError, Interrupted):
        jax.distributed.shutdown()  # all processes get here
        raise
    jax.distributed.shutdown()


def _initialize(start: Start) -> bool:
    """Initialize the process group; return False if there is no cluster."""
    try:
        jax.distributed.initialize(
            start.coordinator or None,
            start.processes,
            start.process,
            cluster_detection_method="deactivate" if start.coordinator else None,
            heartbeat_timeout_seconds=start.heartbeat,
            shutdown_timeout_seconds=start.heartbeat,
        )
    except ValueError as error:
        if not start.coordinator and "coordinator_address" in str(error):  # JAX detected no cluster
            return False
        raise UserError(f"cannot initialize the process group: {error}") from error
    except RuntimeError as error:
        # In a notebook, for instance, that has already computed something.
        if not start.coordinator and "before any JAX" in str(error):
            return False
        raise UserError(f"cannot initialize the process group: {str(error).splitlines()[0]}") from error
    return True
