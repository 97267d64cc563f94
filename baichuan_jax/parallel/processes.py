"""Several processes as one run: initialize the process group, synchronize, and shut down."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax._src import clusters, distributed, xla_bridge
from jax._src.lib import _jax
from jax.experimental import multihost_utils
from jax.extend.backend import register_backend_factory

from baichuan_jax.core.errors import BUG, UserError, code_of, error_of, require
from baichuan_jax.core.interrupt import Interrupted
from baichuan_jax.core.process_group import SINGLE_PROCESS, ProcessGroup, ProcessLost
from baichuan_jax.parallel.alarm import Alarm
from baichuan_jax.parallel.caller import Caller
from baichuan_jax.parallel.roll_call import roll_call
from baichuan_jax.parallel.runtime_errors import is_of_runtime


@dataclass(frozen=True)
class Start:
    """How the processes of a run find each other; all of them run the same command.

    coordinator: host:port of the first process; empty: detect the cluster (Cloud TPU, GKE, Slurm, Open MPI, an indexed
    Kubernetes job). processes: their number; 1 skips the detection. process: number of this process. heartbeat: seconds
    in which all have to come, and without a heartbeat after which a process counts as dead.
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
        if self.is_primary:
            act()  # if it fails, `joined` tells the others
        multihost_utils.sync_global_devices("the first process has acted")


class Place(NamedTuple):
    """Where a process stands: HOST:PORT of the first, its number, how many there are, its local devices if not all."""

    coordinator: str
    number: int
    count: int
    devices: Sequence[int] | None = None


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
def joined(start: Start, facts: Callable[[], Mapping[str, str]], workdir: Path) -> Iterator[ProcessGroup]:
    """Yield the process group of this run; enter it before any computation.

    facts: returns what all processes must have alike, {name: value}. workdir: the directory that all of them must see.

    Raise UserError if they do not agree, and TryAgain if one does not come, or disappears. An error in one of them is
    raised in all.
    """
    place = None if start.processes == 1 else _place(start)
    if place is None:
        yield SINGLE_PROCESS
        return
    _initialize(place, facts, workdir, start.heartbeat)
    processes = Joined(jax.process_index(), jax.process_count())
    alarm = Alarm(processes.number, processes.count)
    try:
        yield processes
    except Interrupted:  # all processes get here
        alarm.close()
        jax.distributed.shutdown()
        raise
    except Exception as error:
        reason = _reason(error, alarm, processes)
        if reason is error:
            raise
        raise reason from error
    alarm.close()
    jax.distributed.shutdown()


def _reason(error: Exception, alarm: Alarm, processes: Joined) -> Exception:
    """Tell the other processes of an error; return it, or that of another process if it only follows from that."""
    follows = is_of_runtime(error) and processes.count > 1
    if follows and "RESOURCE_EXHAUSTED" not in str(error):  # out of memory: no process was lost
        if alarm.heard():
            return error_of(alarm.code, alarm.message)
        lost = f"process {processes.number} of {processes.count} lost a peer ({str(error).splitlines()[0]})"
        error = ProcessLost(f"{lost}; start all of them again to go on from the last checkpoint")
    code = code_of(error)
    alarm.raise_for_all(code, str(error) if code != BUG else repr(error))
    return error


def _place(start: Start) -> Place | None:
    """Return where this process stands, None if it is alone."""
    used = xla_bridge.backends_are_initialized()  # in a notebook, for instance, that has computed something
    if start.coordinator:
        require(not used, "--coordinator", start.coordinator, "a process that has not used JAX yet")
        return Place(start.coordinator, start.process or 0, start.processes or 1)
    if used or not cluster_at_hand(os.environ):
        return None
    # As `jax.distributed.initialize` does, which tells what it has found only when all processes have come.
    devices = [int(number) for number in os.environ.get("JAX_LOCAL_DEVICE_IDS", "").split(",") if number]
    try:
        coordinator, count, number, local = clusters.ClusterEnv.auto_detect_unset_distributed_params(
            os.environ.get("JAX_COORDINATOR_ADDRESS"), None, None, devices or None, None, start.heartbeat
        )
    except (ValueError, RuntimeError) as error:
        raise UserError(f"cannot tell the processes of this cluster: {str(error).splitlines()[0]}") from error
    if coordinator is None or count is None or number is None:
        return None
    return Place(coordinator, number, count, local)


def _initialize(place: Place, facts: Callable[[], Mapping[str, str]], workdir: Path, heartbeat: int) -> None:
    if place.count > 1:
        own = roll_call(Caller(place.coordinator, place.number, place.count, facts(), workdir, heartbeat))
        _listen_at(own)
    try:
        jax.distributed.initialize(
            place.coordinator,
            place.count,
            place.number,
            place.devices,
            cluster_detection_method="deactivate",
            initialization_timeout=heartbeat,
            heartbeat_timeout_seconds=heartbeat,
            shutdown_timeout_seconds=heartbeat,
        )
    except (ValueError, RuntimeError) as error:
        raise UserError(f"cannot initialize the process group: {str(error).splitlines()[0]}") from error


def _listen_at(address: str) -> None:
    """Have CPU devices exchange arrays at this address: that of the host's name may be one of the host alone."""
    if jax.config.jax_cpu_collectives_implementation != "gloo":
        return

    def make() -> Any:
        client = distributed.global_state.client
        return xla_bridge.make_cpu_client(_jax.make_gloo_tcp_collectives(client, hostname=address))

    register_backend_factory("cpu", make, priority=0, fail_quietly=False)
