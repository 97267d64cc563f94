"""Errors of the runtime, such as those of a collective that has lost a process."""

from __future__ import annotations

import jax

STATUSES = ("UNKNOWN: ", "INTERNAL: ", "UNAVAILABLE: ", "ABORTED: ", "CANCELLED: ", "DEADLINE_EXCEEDED: ")  # of absl


def is_of_runtime(error: BaseException | None) -> bool:
    """Return whether the runtime has raised an error; where a program is dispatched, it may come as a ValueError."""
    if isinstance(error, ValueError):
        return str(error).startswith(STATUSES)
    return isinstance(error, jax.errors.JaxRuntimeError)
