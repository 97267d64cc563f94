"""Stopping long work between two steps instead of in the middle of one.

Signals belong to the program. The command line takes them (`taking_signals`); a notebook, or a program that uses the
package as a library, keeps its own handlers, and nothing here touches them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Not what was there before: a shell starts background jobs with SIGINT ignored.
AT_ONCE = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Interrupted(Exception):
    """Work stopped on request, in a state it can be continued from. The message says how."""


_taken = False


@contextmanager
def taking_signals() -> Iterator[None]:
    """Let long work handle Ctrl-C and SIGTERM while the block runs: of a program that is ours alone."""
    global _taken
    before, _taken = _taken, True
    try:
        yield
    finally:
        _taken = before


def may_handle_signals() -> bool:
    """Return whether signals are ours to handle; Python lets the main thread alone do it."""
    return _taken and threading.current_thread() is threading.main_thread()


@dataclass
class StopRequest:
    """Whether a stop has been asked for."""

    requested: bool = False


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM (preemption) into a request; the second acts at once.

    Nothing is ever requested where signals are not ours.
    """
    stop = StopRequest()
    if not may_handle_signals():
        yield stop
        return

    def ask(number: int, _frame: object) -> None:
        stop.requested = True
        signal.signal(number, AT_ONCE[number])

    previous = {number: signal.signal(number, ask) for number in AT_ONCE}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
