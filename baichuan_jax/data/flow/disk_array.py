"""Arrays that stay on disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np


class DiskArray:
    """A .npy file that is read in parts, as copies: array[rows].

    The pages of a mapped file count as memory of the process once they were read or written. So the file is mapped
    anew for each reading.
    """

    @classmethod
    def write(cls, path: Path, parts: Iterable[np.ndarray], rows: int) -> DiskArray:
        """Write the concatenation of `parts`, at least one array and `rows` rows in all."""
        with path.open("wb") as file:
            for number, part in enumerate(parts):
                if not number:
                    described = {"descr": part.dtype.str, "fortran_order": False, "shape": (rows, *part.shape[1:])}
                    np.lib.format.write_array_header_1_0(file, described)
                np.ascontiguousarray(part).tofile(file)
        return cls(path)

    def __init__(self, path: Path):
        self._path = path
        mapped = np.load(path, mmap_mode="r")
        self.shape: tuple[int, ...] = mapped.shape
        self.dtype = mapped.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.array(np.load(self._path, mmap_mode="r")[rows])
