"""What orbax says of failures by itself, kept from the terminal: whatever matters is raised too."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Keep from the terminal what orbax writes about damaged files."""
    level = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(level)


def ignore_leftovers() -> None:
    """Say nothing, from here on, of the errors of what orbax leaves in flight when a part of a read or write fails."""
    if not isinstance(sys.unraisablehook, _WithoutLeftovers):
        sys.unraisablehook = _WithoutLeftovers(sys.unraisablehook)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


class _WithoutLeftovers:
    """Python's hook for errors that nobody can catch, without those of orbax, which end whenever they do."""

    def __init__(self, before: Callable[[Any], object]):
        self._before = before

    def __call__(self, found: Any) -> None:
        code = getattr(found.object, "cr_code", None)
        if str(found.exc_value) != "Event loop is closed" and "orbax" not in getattr(code, "co_filename", ""):
            self._before(found)
