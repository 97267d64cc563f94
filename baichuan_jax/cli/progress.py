"""Progress of long work: bars on a terminal, a line now and then elsewhere. Everything goes to standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from baichuan_jax.recipe.progress import PrintProgress, Progress, Record, Tell, train_line, units_line

console = Console(stderr=True, highlight=False)


class Bars(Progress):
    """Progress on a terminal: lines that change."""

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show what is being done while the block runs."""
        with console.status(text):
            yield

    @contextmanager
    def units(self, name: str) -> Iterator[Tell]:
        """Yield tell(what is being done, units done, units)."""
        with console.status(name) as spinner:
            yield lambda what, done, count: spinner.update(escape(units_line(name, what, done, count)))

    @contextmanager
    def training(self, steps: int) -> Iterator[Callable[[Record], None]]:
        """Yield report(record): a bar with loss, tokens/s, MFU, bits per byte and time left, in 80 columns."""
        columns = (
            BarColumn(bar_width=8),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[bits]}"),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=console) as bar:
            task = bar.add_task("", total=steps, loss="compiling", bits="")

            def report(record: Record) -> None:
                bar.update(
                    task, completed=record["step"], **{"loss" if "loss" in record else "bits": train_line(record)}
                )

            yield report

    def note(self, text: str) -> None:
        """Print a line."""
        print_line(text)


def print_line(text: str) -> None:
    """Print a line to standard error, its tick in green."""
    console.print(escape(text).replace("✓", "[green]✓[/]"), soft_wrap=True)


def terminal_progress() -> Progress:
    """Return what shows progress on this standard error."""
    return Bars() if console.is_terminal else PrintProgress(write=print_line)
