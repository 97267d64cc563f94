"""The output of a task: a directory that is complete or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def task_directory(parent: Path, number: int) -> Iterator[Path]:
    """Yield an empty directory; if the block succeeds, rename it to PARENT/NUMBER, such as `read/00007`.

    An existing directory is replaced: its task was stopped before it was marked as completed. If the block fails, the
    directory is removed. If the process is killed, the directory stays under a name that begins with a dot, until the
    next attempt removes it.
    """
    name = f"{number:05}"
    final, partial, old = parent / name, parent / f".{name}.partial", parent / f".{name}.old"
    _clear(partial, old)
    partial.mkdir(parents=True)
    try:
        yield partial
        if final.exists():
            os.rename(final, old)  # a directory that is not empty cannot be replaced in one step
        os.rename(partial, final)
    finally:
        _clear(partial, old)


def _clear(*directories: Path) -> None:
    for directory in directories:
        if directory.exists():
            shutil.rmtree(directory)
