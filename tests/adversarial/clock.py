"""Timing: whether a function's processor time grows no faster than its text, and a stop for one that hangs."""

from __future__ import annotations

import faulthandler
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIZE = 100_000  # bytes of UTF-8
SECONDS = 1.0  # of processor time for SIZE bytes
GROWTH = 2.5  # times as much for twice as many
FLOOR = 0.2  # seconds below which growth is not judged: caches that overflow, and a busy machine
HANG = 3.0  # times as much as is allowed, after which a call is stopped
STUCK = 120  # seconds after which the process is ended, where nothing can interrupt the call


class Hangs(BaseException):
    """A call that was stopped. Not an Exception: functions under test catch those."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Hangs in the block after so many seconds of processor time."""

    def stop(*_: object) -> None:
        raise Hangs

    before = signal.signal(signal.SIGPROF, stop)
    faulthandler.dump_traceback_later(STUCK, exit=True)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGPROF, before)


def seconds(call: Callable[[str], object], text: str, limit: float) -> float:
    """Return the processor time of a call, infinite if it had to be stopped after `limit`."""
    try:
        with time_limit(limit):
            start = time.process_time()
            call(text)
            return time.process_time() - start
    except Hangs:
        return float("inf")


def verdict(call: Callable[[str], object], make: Callable[[int], str], size: int = SIZE) -> str | None:
    """Return what is wrong with the time of a call over texts that `make` makes of a number of characters, or None."""
    allowed = SECONDS * size / SIZE
    short = _of_bytes(make, size)
    once = seconds(call, short, HANG * allowed)
    if allowed < once < HANG * allowed:
        once = seconds(call, short, HANG * allowed)  # another process may have been in the way
    if once > allowed:
        return f"{once:.2f} s for {len(short.encode()):,} bytes: {short[:60]!r}"
    if once < FLOOR / 5:
        return None  # even four times as much for twice as many would be below the floor
    double = _of_bytes(make, 2 * size)
    limit = 2 * HANG * allowed
    if not _grows(once, seconds(call, double, limit)):
        return None
    for _ in range(5):  # what is quadratic takes four times as long each time; a cache overflows now and then
        once, twice = (seconds(call, text, limit) for text in (short, double))
        if not _grows(once, twice):
            return None
    return f"{once:.3f} s, and {twice:.3f} s for twice as many bytes: {short[:60]!r}"


def _grows(once: float, twice: float) -> bool:
    return twice > FLOOR and twice > GROWTH * once


def _of_bytes(make: Callable[[int], str], size: int) -> str:
    """Return a text of at most so many bytes of UTF-8, or little more."""
    tried = make(1000)
    return make(max(1, int(size * len(tried) / max(1, len(tried.encode(errors="surrogatepass"))))))
