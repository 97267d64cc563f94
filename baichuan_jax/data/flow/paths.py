"""Where the phases of the data step leave what the next ones read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baichuan_jax.data.flow.shard import Shard, Shards


@dataclass(frozen=True)
class Work:
    """The files of a data step at work: one directory per phase and task, as in `read/00007/`.

    root: the directory; it goes when the step has ended. domains: of each shard, in the order of the config; the
    parallel phases have one task a shard.
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

    def load(self, name: str, key: str, number: int = 0) -> np.ndarray:
        """Return an array that a task saved as KEY.npy, mapped from the file."""
        return np.load(self.task(name, number) / f"{key}.npy", mmap_mode="r")

    def join(self, name: str, key: str) -> np.ndarray:
        """Return the arrays of all tasks of a parallel phase, one after the other."""
        return np.concatenate([self.load(name, key, number) for number in range(self.shards)])

    def part(self, number: int) -> slice:
        """Return where the documents of a shard stand among all."""
        starts = self.starts()
        return slice(int(starts[number]), int(starts[number + 1]))

    def starts(self) -> np.ndarray:
        """Return where the documents of each shard begin among all, int64 [shards + 1]."""
        return np.load(self.task("unite") / "starts.npy")

    def shard(self, number: int) -> Shard:
        """Return what a task of the first phase has read."""
        return Shard(self.task("read", number))

    def all(self) -> Shards:
        """Return what all tasks of the first phase have read."""
        groups = [list(dict.fromkeys(self.domains)).index(domain) for domain in self.domains]
        return Shards([self.task("read", number) for number in range(self.shards)], groups)
