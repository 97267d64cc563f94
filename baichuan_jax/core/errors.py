"""Errors that the command line prints as one message: what a user can mend, and what may be tried again."""

from __future__ import annotations

from typing import Any

MISTAKE, AGAIN, BUG = 2, 75, 1  # exit codes: of UserError, of TryAgain (EX_TEMPFAIL of sysexits.h), of any other
DAMAGED = "damaged data"  # a fault: see UserError


class UserError(Exception):
    """Bad input: the message says what was wrong, where, and what to do. The exit code is 2.

    fault: what kind of fault of a run it is, in a word or two; "" for a mistake in a config, a command or a file.
    """

    def __init__(self, message: str, fault: str = ""):
        super().__init__(message)
        self.fault = fault


class TryAgain(Exception):
    """What failed may work when it is tried again: a host, a process or storage did not answer. The exit code is 75."""


def code_of(error: BaseException) -> int:
    """Return the exit code of an error."""
    return MISTAKE if isinstance(error, UserError) else AGAIN if isinstance(error, TryAgain) else BUG


def error_of(code: int, message: str) -> Exception:
    """Return the error that an exit code of another process stands for."""
    kinds: dict[int, type[Exception]] = {MISTAKE: UserError, AGAIN: TryAgain}
    return kinds.get(code, RuntimeError)(message)


def require(ok: bool, field: str, value: Any, expected: str, hint: str = "") -> None:
    """Raise UserError naming `field` (as in "TrainConfig.steps") and its value unless `ok`."""
    if not ok:
        message = f"{field} = {value!r}: expected {expected}"
        raise UserError(f"{message}; {hint}" if hint else message)
