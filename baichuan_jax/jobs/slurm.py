"""Run tasks as Slurm job arrays with datatrove's executor: submit, poll, and resubmit lost tasks."""

from __future__ import annotations

import errno
import os
import pickle
import shlex
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.utils.logging import logger
from datatrove.utils.stats import PipelineStats

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import atomic_path, digest
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.phase import Phase
from baichuan_jax.jobs.task_outcome import ATTEMPTS, Completed, Failure

POLL = 3.0  # seconds
FAILURES = "failures"


class Slurm:
    """Run phases as job arrays of one task each, `cfg.workers` of them at once."""

    def __init__(self, cfg: RunnerConfig, _directory: Path):
        if shutil.which("sbatch") is None:
            raise UserError(
                "RunnerConfig.kind = 'slurm': sbatch is not installed; run this on a machine that can submit jobs"
            )
        self._cfg, self._name = cfg, ""

    def run(self, phase: Phase, numbers: Sequence[int], completed: Completed) -> None:
        """Run tasks. Raise the error of the first failed task, or UserError if tasks were lost ATTEMPTS times."""
        # The name is the same in every run, so that jobs of a killed driver are found.
        self._name = f"baichuan-{phase.name}-{digest(str(phase.directory.resolve()))}"
        shutil.rmtree(phase.directory / FAILURES, ignore_errors=True)
        missing = list(numbers)
        for _ in range(ATTEMPTS):
            self.close()
            while _queued(self._name):  # two jobs of the same task would write the same files
                time.sleep(POLL)
            self._submit(phase)
            queued = True
            while missing and queued:
                time.sleep(POLL)
                # The queue first: a task that ends in between has then completed, and is not taken for lost.
                queued = _queued(self._name)
                before, missing = missing, phase.incomplete()
                completed(len(before) - len(missing))
                _raise_failure(phase)
            if not missing:
                return
        raise UserError(
            f"{len(missing)} tasks of phase {phase.name!r} (first: {missing[0]}) ended {ATTEMPTS} times without a "
            f"Python error; see the newest Slurm log, {_newest(phase.directory / 'slurm_logs')}, and raise "
            "RunnerConfig.memory or RunnerConfig.time, or fix RunnerConfig.setup"
        )

    def close(self) -> None:
        """Cancel the jobs that are pending or running."""
        if self._name:
            subprocess.run(["scancel", f"--name={self._name}"], capture_output=True)

    def _submit(self, phase: Phase) -> None:
        cfg = self._cfg
        executor = _Executor(
            [_Step(phase)],
            tasks=phase.count,
            time=cfg.time,
            partition=cfg.partition,
            mem_per_cpu_gb=cfg.usual_memory,
            workers=cfg.workers,
            job_name=self._name,
            qos=None,
            env_command=cfg.setup or f"export PATH={shlex.quote(sysconfig.get_path('scripts'))}:$PATH",
            logging_dir=str(phase.directory.resolve()),
        )
        try:
            with _quiet():
                executor.launch_job()
        except subprocess.CalledProcessError as error:
            script = phase.directory / "launch_script.slurm"
            raise UserError(f"sbatch refused {script} (exit code {error.returncode}); its message is above") from None


class _Step:
    """A phase as the only step of a datatrove pipeline. Not a dataclass: datatrove logs those with all their fields."""

    def __init__(self, phase: Phase):
        self._phase = phase

    def __call__(self, _data: None, rank: int, _world_size: int) -> None:
        self._phase.task(rank)

    def __repr__(self) -> str:
        return f"{self._phase.name}: {type(self._phase.task).__name__}"


class _Executor(SlurmPipelineExecutor):
    """datatrove's executor, which also saves the error of a task for the driver."""

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        try:
            return super()._run_for_rank(rank, local_rank, node_rank)
        except Exception as error:
            _leave(Failure.of(error), Path(self.logging_dir.path) / FAILURES / f"{rank:05}.pickle")
            raise

    def launch_merge_stats(self) -> None:
        """Submit nothing: the phases keep their own counts."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep datatrove's messages off standard error."""
    logger.remove()  # the handler that it installs at import
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        try:
            yield
        finally:
            logger.remove()


def _leave(failure: Failure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with atomic_path(path) as partial:
            partial.write_bytes(pickle.dumps(failure))
    except OSError:
        path.touch()  # the disk is full: an empty file takes no space, and `_raise_failure` knows what it means


def _raise_failure(phase: Phase) -> None:
    """Raise the error that the first failed task saved."""
    for path in sorted((phase.directory / FAILURES).glob("*.pickle")):
        full = Failure(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "")
        failure = pickle.loads(path.read_bytes()) if path.stat().st_size else full
        failure.reraise(phase, int(path.stem))


def _queued(name: str) -> bool:
    """Return whether jobs are pending or running; True if Slurm does not answer."""
    answer = subprocess.run(["squeue", "--noheader", f"--name={name}"], capture_output=True)
    return answer.returncode != 0 or bool(answer.stdout.strip())


def _newest(directory: Path) -> Path:
    return max(directory.glob("*.out"), key=lambda path: path.stat().st_mtime, default=directory)
