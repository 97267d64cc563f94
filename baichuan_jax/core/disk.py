"""Disks that have no room, permit no writing, or do not answer, told as what a user can mend or try again."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baichuan_jax.core.errors import TryAgain, UserError

DISK = "full disk"  # or one that may not be written
TROUBLES = {
    errno.ENOSPC: ("the disk is full", "make room"),
    errno.EDQUOT: ("the disk quota is used up", "make room"),
    errno.EFBIG: ("a file may not become that large", "raise the limit (ulimit -f)"),
    errno.EACCES: ("there is no permission", "give it"),
    errno.EPERM: ("there is no permission", "give it"),
    errno.EROFS: ("the disk is read-only", "mount it for writing"),
}
# Of storage that may answer the next time: a network's, most often.
PASSING = (errno.EIO, errno.ESTALE, errno.EREMOTEIO, errno.ETIMEDOUT, errno.ENOTCONN)


@contextmanager
def mendable_writes(what: str, place: Path | str) -> Iterator[None]:
    """Turn an error of a write that found no room or no permission into a UserError, and a passing one into TryAgain.

    A path that is too long is a UserError too, of reads as well.

    what: is being written. place: where, if the error does not name a file.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (UserError, TryAgain)):
            raise
        if isinstance(error, OSError) and error.errno in PASSING:
            file = error.filename or place
            raise TryAgain(f"{what} cannot read or write {file} ({error.strerror})") from error
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise UserError(f"{what} cannot read or write {error.filename or place}: shorten this path") from error
        found = _trouble_of(error)
        if found is None:
            raise
        trouble, remedy = found
        file = getattr(error, "filename", None) or place
        told = f"{trouble}: {what} cannot write {file}; {remedy} and run the same command to go on"
        raise UserError(told, DISK) from error


def trouble_in_words(error: Exception) -> str:
    """Return why a write has failed, in a line."""
    if found := _trouble_of(error):
        return found[0]
    return (str(error).strip().splitlines() or [""])[0][:200] or type(error).__name__


def fault_of(error: BaseException | None) -> str:
    """Return what kind of fault of a run an error is, "" if that is not known."""
    if isinstance(error, UserError):
        return error.fault
    return DISK if _trouble_of(error) else ""


def _trouble_of(error: BaseException | None) -> tuple[str, str] | None:
    """Return what is wrong with the disk, and what mends it; None if an error comes from something else.

    Native libraries say it in the system's words alone, and numpy in its own: "100 requested and 20 written".
    """
    if error is None:
        return None
    for number, trouble in TROUBLES.items():
        if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
            return trouble
    if isinstance(error, OSError) and "requested and" in str(error):
        return TROUBLES[errno.ENOSPC]
    return _trouble_of(error.__cause__ or error.__context__)
