"""Stopping long work between two steps instead of in the middle of one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Not what was there before: a shell starts background jobs with SIGINT ignored.
AT_ONCE = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Interrupted(Exception):
    """Work stopped on request, in a state it can be continued from. The message says how."""


@dataclass
class StopRequest:
    """Whether a stop has been asked for."""

    requested: bool = False


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM (preemption) into a request; the second acts at once."""
    stop = StopRequest()

    def ask(number: int, _frame: object) -> None:
        stop.requested = True
        signal.signal(number, AT_ONCE[number])

    previous = {number: signal.signal(number, ask) for number in AT_ONCE}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
