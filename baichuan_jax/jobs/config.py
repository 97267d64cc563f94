"""Settings of the engine that runs the data step and the points of a sweep. They do not affect results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting

USUAL_MEMORY = 4  # gigabytes of a task


@dataclass(frozen=True)
class RunnerConfig:
    """Where the tasks of the data step and the points of a sweep run, and when the data step stops."""

    kind: Literal["local", "slurm", "ray"] = setting(
        "local",
        "'local' (processes of this machine), 'slurm' (job arrays) or 'ray' (a Ray cluster, the extra [scale]); the "
        "workdir must lie on storage that all machines share",
    )
    workers: int = setting(1, "tasks that run at once; 1 with kind 'local' runs them in this process")
    partition: str = setting("", "Slurm partition")
    time: str = setting("04:00:00", "time limit of a Slurm job")
    setup: str = setting(
        "",
        "shell commands of a Slurm job that make this package importable; by default the directory of the Python in "
        "use comes first on PATH",
    )
    memory: int = setting(
        0,
        "gigabytes that a Slurm or Ray task, or a point of a sweep, may use; 0: 4, or less where no node of a Ray "
        "cluster has as much for each of its tasks",
    )
    address: str = setting("", "address of the Ray cluster; '' starts one on this machine")
    vanished: Literal["stop", "skip"] = setting(
        "stop",
        "what to do if fewer than two documents of a domain are left: 'stop' raises an error with the reasons, early; "
        "'skip' builds the dataset without the domain; the same command continues with either",
    )

    @property
    def usual_memory(self) -> int:
        """Return the gigabytes of a task, as they are where there is enough."""
        return self.memory or USUAL_MEMORY

    def __post_init__(self) -> None:
        kinds = ("local", "slurm", "ray")
        require(self.kind in kinds, "RunnerConfig.kind", self.kind, ", ".join(map(repr, kinds)))
        require(self.vanished in ("stop", "skip"), "RunnerConfig.vanished", self.vanished, "'stop' or 'skip'")
        require(self.workers >= 1, "RunnerConfig.workers", self.workers, "a number of tasks, 1 at least")
        require(self.memory >= 0, "RunnerConfig.memory", self.memory, "gigabytes, or 0 for as many as are usual")
        named = self.kind != "slurm" or bool(self.partition)
        require(named, "RunnerConfig.partition", self.partition, "a partition", hint="`sinfo` lists them")
