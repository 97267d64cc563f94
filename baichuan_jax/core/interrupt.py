"""Stopping on request: at once, or, where work is worth it, between two steps instead of in the middle of one.

Signals belong to the program. The command line takes them (`taking_signals`); a notebook, or a program that uses the
package as a library, keeps its own handlers, and nothing here touches them.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STOPPED = 130  # the exit code: 128 + SIGINT, as shells have it
GRACE = 1.5  # seconds after the first signal in which work may tidy up
TICK = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """Work stopped on request, in a state it can be continued from. The message says how."""


@dataclass
class StopRequest:
    """Whether a stop has been asked for."""

    requested: bool = False


_taken = False
_after = ""  # what is finished before a stop
_tidies = False  # whether there is something to tidy up


@contextmanager
def taking_signals() -> Iterator[StopRequest]:
    """Answer Ctrl-C while the block runs, in the main thread of a program that is ours alone.

    The process ends at once, with nothing raised: native code that calls back, as JAX's does, loses an exception, or
    aborts. Where there is something to finish (`stop_on_signal`) or to tidy up (`unwinding`), it ends after that. A
    second signal ends it whatever it is doing. What is yielded tells whether there was a signal.
    """
    global _taken
    before, _taken = _taken, True
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # as Python demands
    stop = StopRequest()
    others = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.SIG_IGN:  # a job in the background, which a Ctrl-C is not meant for
        signal.signal(signal.SIGINT, lambda *_: None)  # `_answer` hears of it
    faulthandler.register(signal.SIGUSR2, 2, all_threads=True)  # prints the stacks, whatever native code is at work
    threading.Thread(target=_answer, args=(reading, stop), daemon=True).start()
    try:
        yield stop
    finally:
        _taken = before
        signal.signal(signal.SIGINT, handler)
        signal.set_wakeup_fd(others)
        faulthandler.unregister(signal.SIGUSR2)
        os.close(writing)  # which ends the thread


def may_handle_signals() -> bool:
    """Return whether signals are ours to handle; Python lets the main thread alone do it."""
    return _taken and threading.current_thread() is threading.main_thread()


@contextmanager
def stop_on_signal(after: str) -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM (preemption) into a request.

    after: what is finished before the stop, for the user. Raise KeyboardInterrupt at the end of the block if it was
    asked to stop and has ended as if it were not. Nothing is ever requested where signals are not ours.
    """
    stop = StopRequest()
    if not may_handle_signals():
        yield stop
        return

    def ask(*_: object) -> None:
        stop.requested = True

    with finishing(after):
        previous = {number: signal.signal(number, ask) for number in SIGNALS}
        try:
            yield stop
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    if stop.requested:
        raise KeyboardInterrupt


@contextmanager
def finishing(after: str) -> Iterator[None]:
    """Let a block take its time after a signal: the user is told what the process stops after."""
    global _after
    before, _after = _after, after
    try:
        yield
    finally:
        _after = before


@contextmanager
def unwinding() -> Iterator[None]:
    """Let the first Ctrl-C raise KeyboardInterrupt in a block that has something to tidy up; it has GRACE for that."""
    global _tidies
    if not may_handle_signals():
        yield
        return
    before, _tidies = _tidies, True
    previous = signal.signal(signal.SIGINT, _raise_once)
    try:
        yield
    except KeyboardInterrupt:
        before = True  # what is around the block has the time too
        raise
    finally:
        _tidies = before
        signal.signal(signal.SIGINT, previous)


def goodbye(why: str = "stopped") -> str:
    """Return what a user is told when work has stopped on request."""
    return f"\nbaichuan-jax: {why}; run the same command to go on"


def _raise_once(*_: object) -> None:
    signal.signal(signal.SIGINT, lambda *_: None)  # `_answer` does the rest
    raise KeyboardInterrupt


def _answer(reading: int, stop: StopRequest) -> None:
    """Answer signals in a thread: the main one may be in a call that takes minutes."""
    deadline = float("inf")
    while True:
        if select.select([reading], [], [], None if deadline == float("inf") else TICK)[0]:
            number = os.read(reading, 1)
            if not number:
                os.close(reading)
                return
            if number[0] not in SIGNALS:
                continue
            if stop.requested or not (_after or _tidies):
                _end()
            stop.requested, deadline = True, time.monotonic() + GRACE
        if stop.requested and _after and deadline < float("inf"):
            _say(f"\nbaichuan-jax: stopping after {_after}; once more ends it at once")
            deadline = float("inf")
        if time.monotonic() > deadline:
            _end()


def _end() -> None:
    _say(goodbye())
    os._exit(STOPPED)


def _say(text: str) -> None:
    """Write to standard error past Python's buffers, whose lock the main thread may hold."""
    show_cursor = "\x1b[?25h" if sys.__stderr__ is not None and sys.__stderr__.isatty() else ""
    os.write(2, f"{show_cursor}{text}\n".encode())
