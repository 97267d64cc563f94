"""The working directory of the data step, where each phase leaves what later phases read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baichuan_jax.data.flow.disk_array import DiskArray
from baichuan_jax.data.flow.phase_arrays import READ, STARTS, Array
from baichuan_jax.data.flow.shard import Shard, Shards


@dataclass(frozen=True)
class Work:
    """The files of a data step in progress: one directory for each phase and task, as in `read/00007/`.

    root: the directory; it is deleted when the step has ended. domains: of each shard, in the order of the config.
    """

    root: Path
    domains: tuple[str, ...]

    @property
    def shards(self) -> int:
        return len(self.domains)

    def phase(self, name: str) -> Path:
        """Return the directory of a phase."""
        return self.root / name

    def task(self, name: str, number: int = 0) -> Path:
        """Return the directory of a task of a phase."""
        return self.phase(name) / f"{number:05}"

    def load(self, array: Array, number: int = 0) -> np.ndarray:
        """Return an array that a task saved, mapped from its file."""
        return array.load(self.task(array.phase, number))

    def join(self, array: Array) -> np.ndarray:
        """Return the arrays of all shards, concatenated."""
        return np.concatenate([self.load(array, number) for number in range(self.shards)])

    def on_disk(self, array: Array) -> list[DiskArray]:
        """Return the arrays of all shards, left on disk."""
        parts = [DiskArray(array.path(self.task(array.phase, number))) for number in range(self.shards)]
        for part in parts:
            array.check(part)
        return parts

    def part(self, number: int) -> slice:
        """Return which of all documents are those of a shard."""
        starts = self.starts()
        return slice(int(starts[number]), int(starts[number + 1]))

    def starts(self) -> np.ndarray:
        """Return where the documents of each shard begin among all, int64 [shards + 1]."""
        return self.load(STARTS)

    def shard(self, number: int) -> Shard:
        """Return the documents that a task of the phase `read` left."""
        return Shard(self.task(READ, number))

    def all(self) -> Shards:
        """Return the documents that all tasks of the phase `read` left."""
        groups = [list(dict.fromkeys(self.domains)).index(domain) for domain in self.domains]
        return Shards([self.task(READ, number) for number in range(self.shards)], groups)
