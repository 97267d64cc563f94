"""Process group: all processes of a run compute, and the primary one writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from baichuan_jax.core.errors import TryAgain


class ProcessLost(TryAgain):
    """Another process of the run is gone: what this one was computing cannot be finished."""


@dataclass(frozen=True)
class ProcessGroup:
    """One process, the only one. `parallel.processes` has the kind that meets others.

    number: of this process. count: of all of them.
    """

    number: int = 0
    count: int = 1

    @property
    def is_primary(self) -> bool:
        """Whether this one writes what is written once."""
        return self.number == 0

    def on_primary(self, act: Callable[[], None]) -> None:
        """Let the first process act when all have come here; the others wait for it, and fail if it fails."""
        act()


SINGLE_PROCESS = ProcessGroup()
