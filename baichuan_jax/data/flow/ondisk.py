"""Arrays that stay on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class OnDisk:
    """A .npy file that is read by copies of its parts, as in array[rows].

    A file that stays mapped counts as memory of the process, page by page, as it is read; here it is mapped for one
    reading only.
    """

    def __init__(self, path: Path):
        self._path = path
        self.shape: tuple[int, ...] = np.load(path, mmap_mode="r").shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.array(np.load(self._path, mmap_mode="r")[rows])
