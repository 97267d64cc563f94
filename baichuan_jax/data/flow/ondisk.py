"""Arrays that stay on disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np


class OnDisk:
    """A .npy file that is read by copies of its parts, as in array[rows].

    A file that stays mapped counts as memory of the process, page by page, as it is read or written; here it is mapped
    for one reading only.
    """

    @classmethod
    def write(cls, path: Path, parts: Iterable[np.ndarray], rows: int) -> OnDisk:
        """Write parts, one at least and `rows` rows in all, one after the other."""
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
