"""The hash of every global batch, on record: which sequences each step was trained on, whatever hosts read them.

A row's hash is xxh3-64 of its arrays, seeded by its place in the batch. That of the batch is the sum of its rows' two
halves, each modulo 2^32. So a host needs only its own rows, and the devices add up those of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xxhash

from baichuan_jax.core.files import write_text
from baichuan_jax.core.metrics import BUFFER
from baichuan_jax.model.execution import Batch
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.train.config import BATCH_HASHES


class BatchHashes:
    """Appends the hash of each step's batch to a file in the directory of the training.

    directory: None in a process that does not write. rows: places in the batch of the sequences that are read here.
    from_step: the step that training goes on from; what is on record of later ones is dropped.
    """

    def __init__(self, directory: Path | None, from_step: int, rows: Sequence[int], layout: Layout):
        self._rows, self._sharding = rows, layout.sharding(("batch",))
        self._add_up = jax.jit(lambda x: jnp.sum(x, 0, dtype=jnp.uint32), out_shardings=layout.replicated)
        self._unread: list[tuple[int, jax.Array | np.ndarray]] = []
        self._file = None
        if directory is not None:
            kept = {step: found for step, found in read_hashes(directory).items() if step <= from_step}
            write_text(directory / BATCH_HASHES, "".join(f"{step} {found}\n" for step, found in kept.items()))
            self._file = (directory / BATCH_HASHES).open("ab", BUFFER)

    def __enter__(self) -> BatchHashes:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def add(self, step: int, batch: Batch) -> None:
        """Note the rows of a step, before they are placed on devices."""
        hashes = row_hashes(batch, self._rows)
        if jax.process_count() == 1:
            self._unread.append((step, hashes.sum(0, dtype=np.uint32)))
        else:
            self._unread.append((step, self._add_up(jax.make_array_from_process_local_data(self._sharding, hashes))))

    def write(self) -> None:
        """Write what was noted. Without room on the disk it waits in memory."""
        unread, self._unread = self._unread, []
        if self._file is not None:
            lines = (f"{step} {in_hexadecimal(found)}\n" for step, found in jax.device_get(unread))
            self._file.write("".join(lines).encode())
            with suppress(OSError):
                self._file.flush()


def row_hashes(batch: Batch, rows: Sequence[int]) -> np.ndarray:
    """Return the two halves of each row's hash, uint32 [rows, 2]. rows: their places in the global batch."""
    arrays = [array for array in batch if array is not None]
    found = np.empty(len(rows), np.uint64)
    for number, place in enumerate(rows):
        hasher = xxhash.xxh3_64(seed=place)
        for array in arrays:
            hasher.update(array[number].tobytes())
        found[number] = hasher.intdigest()
    return found.view(np.uint32).reshape(-1, 2)


def batch_hash(batch: Batch) -> str:
    """Return the hash of a whole batch as it stands in the file."""
    return in_hexadecimal(row_hashes(batch, range(len(batch.tokens))).sum(0, dtype=np.uint32))


def in_hexadecimal(halves: np.ndarray) -> str:
    """Return a hash of two halves, the lower first, as 16 characters."""
    low, high = (int(half) for half in halves)
    return f"{high << 32 | low:016x}"


def read_hashes(directory: Path) -> dict[int, str]:
    """Return {step: hash of its batch}; a last line that was cut short is left out."""
    path = directory / BATCH_HASHES
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    pairs = (line.split() for line in lines if line.endswith("\n"))
    return {int(step): found for step, found in pairs}
