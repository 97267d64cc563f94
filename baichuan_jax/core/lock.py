"""One process at a time in a directory."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baichuan_jax.core.errors import UserError


@contextmanager
def exclusive(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path` while the block runs. Raise UserError if another process does, or it cannot.

    The system lets go of the lock when the process ends, however it ends; the empty file stays. wait: until the other
    process lets go of it.
    """
    try:
        file = path.open("a")
    except OSError as error:
        raise UserError(f"cannot write in {path.parent} ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise UserError(f"another process is at work in {path.parent}; wait for it to end, or stop it") from None
        yield


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock file `path`."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
