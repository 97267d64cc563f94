"""What a run tells while it works. Nothing, unless a run is given something that shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Tell = Callable[[str, int, int], None]
Record = Mapping[str, Any]


class Progress:
    """Progress that shows nothing. A subclass shows what it likes; its methods are called from the building thread."""

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show what is being done while the block runs."""
        yield

    @contextmanager
    def units(self, name: str) -> Iterator[Tell]:
        """Yield tell(what is being done, units done, units), called while `name` is at work."""
        yield lambda what, done, count: None

    @contextmanager
    def training(self, steps: int) -> Iterator[Callable[[Record], None]]:
        """Yield report(record), called with each record of metrics. steps: of the whole training."""
        yield lambda record: None

    def note(self, text: str) -> None:
        """Show a line that stays."""


class PrintProgress(Progress):
    """Progress as lines, at most one in so many `seconds`: for notebooks and log files."""

    def __init__(self, seconds: float = 15.0, write: Callable[[str], object] = print):
        self._seconds, self._write = seconds, write

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Write what is being done."""
        self._write(f"{text} ...")
        yield

    @contextmanager
    def units(self, name: str) -> Iterator[Tell]:
        """Yield tell(what is being done, units done, units)."""
        written = time.monotonic()

        def tell(what: str, done: int, count: int) -> None:
            nonlocal written
            if time.monotonic() - written > self._seconds:
                written = time.monotonic()
                self._write(units_line(name, what, done, count))

        yield tell

    @contextmanager
    def training(self, steps: int) -> Iterator[Callable[[Record], None]]:
        """Yield report(record), which writes every validation."""
        written = 0.0

        def report(record: Record) -> None:
            nonlocal written
            if "validation" in record or time.monotonic() - written > self._seconds:
                written = time.monotonic()
                self._write(f"step {record['step']}/{steps}  {train_line(record)}")

        yield report

    def note(self, text: str) -> None:
        """Write a line."""
        self._write(text)


def units_line(name: str, what: str, done: int, count: int) -> str:
    """Return how far work in units has come, in a line."""
    return f"{name}: {done} of {count} {what}"


def train_line(record: Record) -> str:
    """Return a metrics record in one line; the MFU is that of attention in full / of its causal half."""
    if "validation" in record:
        return f"{record['validation_mean']:.3f} {record.get('unit', 'bits/byte')}"
    mfu = f"MFU {100 * record['mfu_full']:.1f}/{100 * record['mfu_causal']:.1f}%"
    return f"loss {record['loss']:.3f} {record['tokens_per_second']:,.0f} tok/s {mfu}"
