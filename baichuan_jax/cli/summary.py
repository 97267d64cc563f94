"""What a finished stage tells its user, in a few lines."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from baichuan_jax.recipe.spec import Grid, StageResult
from baichuan_jax.recipe.table import STAGES

console = Console(highlight=False)


def show(name: str, result: StageResult, skipped: bool, taken: Path | None = None) -> None:
    """Print the summary of a stage, or one line if it had been done before. taken: the run that it is taken from."""
    if taken:
        console.print(f"[green]✓[/] {name}: taken from {escape(str(taken))}", soft_wrap=True)
        return
    if skipped:
        console.print(f"[green]✓[/] {name}: done before, skipped", soft_wrap=True)
        return
    spec = STAGES[name]
    console.print(f"[green]✓[/] {name}: {spec.summary(result)} ({result.seconds:.1f} s)", soft_wrap=True)
    if spec.table:
        print_grid(spec.table(result))


def show_tasks(result: dict) -> None:
    """Print what was reached in a task: in all, and by category."""
    from baichuan_jax.lab.tasks import HEAD, cells, title  # brings matplotlib in

    rows = [row for row in result["rows"] if row["kind"] != "subject"] if len(result["rows"]) > 9 else result["rows"]
    print_grid(Grid(HEAD, [cells(row) for row in rows], title(result)))


def print_grid(grid: Grid) -> None:
    """Print a table."""
    table = Table(*grid.columns, title=grid.title or None, title_justify="left")
    for row in grid.rows:
        table.add_row(*row)
    console.print(table)
