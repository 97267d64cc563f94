"""Progress of long work: bars on a terminal, a line now and then elsewhere. Everything goes to standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from baichuan_jax.train.config import TrainConfig

console = Console(stderr=True, highlight=False)
QUIET_SECONDS = 15.0  # between lines where there is no terminal


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show what is being done while the block runs."""
    if console.is_terminal:
        with console.status(text):
            yield
    else:
        console.print(f"{text} ...", soft_wrap=True)
        yield


@contextmanager
def data_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield progress(phase, tasks done, tasks): one line that changes, or a line now and then."""
    with _line_progress("data", "{name}, phase {what}: {done} of {count} tasks") as progress:
        yield progress


@contextmanager
def units_progress(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """Yield progress(what is being done, units done, units) of an experiment."""
    with _line_progress(name, "{name}: {done} of {count} {what}") as progress:
        yield progress


@contextmanager
def _line_progress(name: str, form: str) -> Iterator[Callable[[str, int, int], None]]:
    with console.status(name) as spinner:
        shown = time.monotonic()

        def progress(what: str, done: int, count: int) -> None:
            nonlocal shown
            line = form.format(name=name, what=what, done=done, count=count)
            spinner.update(escape(line))
            if not console.is_terminal and time.monotonic() - shown > QUIET_SECONDS:
                shown = time.monotonic()
                console.print(escape(line), soft_wrap=True)

        yield progress


@contextmanager
def bytes_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Yield progress(bytes done, bytes in all)."""
    with _line_progress(name, "{name}: {what}") as progress:
        yield lambda done, count: progress(f"{done / 1e9:.2f} of {count / 1e9:.2f} GB", done, count)


@contextmanager
def train_progress(cfg: TrainConfig, shown: bool = True) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield report(record): a bar with loss, tokens/s, MFU, bits per byte and time left, in 80 columns.

    shown: False for a process whose work another one shows.
    """
    if not shown:
        yield lambda record: None
        return
    columns = (
        BarColumn(bar_width=8),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[bits]}"),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=cfg.steps, loss="compiling", bits="")
        printed = 0.0

        def report(record: dict[str, Any]) -> None:
            nonlocal printed
            text = train_line(record)
            bar.update(task, completed=record["step"], **{"loss" if "loss" in record else "bits": text})
            now = time.monotonic()
            if not console.is_terminal and ("validation" in record or now - printed > QUIET_SECONDS):
                printed = now
                console.print(f"step {record['step']}/{cfg.steps}  {text}", soft_wrap=True)

        yield report


def train_line(record: dict[str, Any]) -> str:
    """Return a metrics record in one line; the MFU is that of attention in full / of its causal half."""
    if "validation" in record:
        return f"{record['validation_mean']:.3f} bits/byte"
    mfu = f"MFU {100 * record['mfu_full']:.1f}/{100 * record['mfu_causal']:.1f}%"
    return f"loss {record['loss']:.3f} {record['tokens_per_second']:,.0f} tok/s {mfu}"
