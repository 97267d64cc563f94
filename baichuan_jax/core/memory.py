"""Memory that is not there, told as what a user can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from baichuan_jax.core.errors import UserError


class OutOfMemory(UserError):
    """Work asked for more memory than there is, of the processor or of a device. Other processes may have enough."""


@contextmanager
def within_memory(what: str, remedy: str) -> Iterator[None]:
    """Turn an error of Python, numpy or JAX about memory into one that says of what, how many bytes, and what to do."""
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        if not isinstance(error, MemoryError) and not lines[0].startswith("RESOURCE_EXHAUSTED: "):  # by XLA
            raise
        asked = lines[0].removeprefix("RESOURCE_EXHAUSTED: ").rstrip(".")
        raise OutOfMemory(f"out of memory: {what}: {asked}; {remedy}", "no memory") from error
