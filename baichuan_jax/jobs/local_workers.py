"""Run tasks on this machine: in this process, or in worker processes that live for all phases."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe, wait
from pathlib import Path

from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.phase import Phase
from baichuan_jax.jobs.task_outcome import Completed, Death, Failure, run_all

WORKER = (sys.executable, "-P", "-m", "baichuan_jax.jobs.worker_process")


class LocalWorkers:
    """Run phases on this machine; several workers are the slots of `run_all`."""

    def __init__(self, cfg: RunnerConfig, directory: Path):
        self.size = cfg.workers
        self._directory = directory
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def run(self, phase: Phase, numbers: Sequence[int], completed: Completed) -> None:
        """Run tasks. Raise what `run_all` does."""
        if self.size > 1:
            run_all(self, phase, numbers, completed)
            return
        for number in numbers:
            phase.run(number)
            completed(1)

    def start(self, phase: Phase, number: int) -> None:
        """Give a task to a worker."""
        # Named by its slot, so that there are as many logs as slots, however many workers die.
        worker = self._idle.pop() if self._idle else _Worker(self._directory / f"worker_{len(self._busy)}.log")
        self._busy.append(worker)
        worker.start(phase, number)

    def wait(self) -> dict[int, Failure | Death | None]:
        """Wait until at least one task has ended; return {task: outcome} of the ended tasks."""
        ended = {}
        ready = wait([worker.connection for worker in self._busy])
        for worker in [worker for worker in self._busy if worker.connection in ready]:
            self._busy.remove(worker)
            end = ended[worker.number] = worker.end()
            if not isinstance(end, Death):
                self._idle.append(worker)
        return ended

    def close(self) -> None:
        """Kill all workers. The output of unfinished tasks is never read."""
        for worker in self._idle + self._busy:
            worker.kill()


class _Worker:
    """The driver's side of a worker process. number: its current task."""

    def __init__(self, log: Path):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.connection, other = Pipe()
        self.number = -1
        self._log, self._phase = log, None
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        with other, log.open("ab") as output:
            self._process = subprocess.Popen(
                (*WORKER, str(other.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(other.fileno(),),
                process_group=0,  # so that Ctrl-C reaches the driver alone
                env={**os.environ, "PYTHONPATH": path},
            )

    def start(self, phase: Phase, number: int) -> None:
        pickled = None if phase is self._phase else pickle.dumps(phase)
        self.number, self._phase = number, phase
        with suppress(ConnectionError):  # it was killed while idle: `end` reports it
            self.connection.send((pickled, number))

    def end(self) -> Failure | Death | None:
        """Return the outcome of the task. Call it once the connection is ready."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            code = self.kill()
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            return Death(how, str(self._log))

    def kill(self) -> int:
        """Kill the process and its children; return the exit code of the process."""
        with suppress(ProcessLookupError, PermissionError):  # it has ended; macOS raises the latter
            os.killpg(self._process.pid, signal.SIGKILL)
        self.connection.close()
        return self._process.wait()
