"""The verb `sweep`: runs the points of a sweep, shows how they go on, and prints the table."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from baichuan_jax.cli.progress import Bars, terminal_progress
from baichuan_jax.cli.progress import console as errors
from baichuan_jax.config.literal import literal
from baichuan_jax.core.errors import UserError
from baichuan_jax.recipe.progress import Tell
from baichuan_jax.recipe.sweep.plan import Plan, make_plan

HELP = "runs that differ in settings: every combination of values, in parallel, and which is best over its seeds"
SHOWN = 30  # points in the live table: those at work come first


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb takes beside --set."""
    verb.add_argument("config", metavar="CONFIG", help="a gin file, or the name of a shipped one: quickstart")
    over = "values of one setting, as in --over 'TrainConfig.seed=range(3)'; may be repeated"
    verb.add_argument("--over", action="append", default=[], metavar="NAME.FIELD=VALUES", help=over)
    verb.add_argument("--zip", action="store_true", help="pair the values at equal places, in place of combinations")
    verb.add_argument("--random", type=int, metavar="N", help="draw N of the combinations, each with every seed")
    verb.add_argument("--metric", metavar="M", help="validation figure to compare by, such as validation/zh_news")
    goal = verb.add_mutually_exclusive_group()
    goal.add_argument("--minimize", dest="goal", action="store_const", const="minimize", help="lower is better")
    goal.add_argument("--maximize", dest="goal", action="store_const", const="maximize", help="higher is better")
    verb.add_argument("--extend", action="store_true", help="add points to the sweep that the directory holds")
    verb.add_argument("--dry-run", action="store_true", help="print points, shared stages and an estimate; run nothing")


def sweep(args: argparse.Namespace) -> None:
    """Run a sweep and print its best settings."""
    plan = make_plan(args.config, [*args.overrides, *_settings(args)], args.extend)
    console = Console(highlight=False)
    if args.dry_run:
        _print_plan(plan, console)
        return
    from baichuan_jax.recipe.sweep.runner import run_sweep

    files = run_sweep(plan, LiveTable(plan) if errors.is_terminal else terminal_progress())
    _print_result(plan, console)
    for file in (files.table, files.parquet, files.page):
        console.print(escape(str(file)), soft_wrap=True)
    if files.failed:
        numbers = ", ".join(map(str, files.failed))
        stopped = f"; others were not begun, as points fail alike: {files.stopped}" if files.stopped else ""
        raise UserError(
            f"{len(files.failed)} of {len(plan.points)} points failed ({numbers}){stopped}. Their logs are in "
            f"{plan.directory / 'states'}, their tracebacks in the table; the same command tries them again"
        )


def _settings(args: argparse.Namespace) -> list[str]:
    """Return the options of the command line as settings."""
    given = {
        "over": tuple(args.over) or None,
        "zip": args.zip or None,
        "random": args.random,
        "metric": args.metric,
        "goal": args.goal,
    }
    return [f"SweepConfig.{name}={literal(value)}" for name, value in given.items() if value is not None]


class LiveTable(Bars):
    """Progress on a terminal: a table of the points, which is read from their files."""

    def __init__(self, plan: Plan):
        self._plan = plan

    @contextmanager
    def units(self, name: str) -> Iterator[Tell]:
        """Show the table while the block runs."""
        with Live(get_renderable=self._render, console=errors, refresh_per_second=1, transient=True):
            yield lambda what, done, count: None

    def _render(self) -> RenderableType:
        from baichuan_jax.recipe.sweep.results import name_of, rows_of, steps_of

        rows = rows_of(self._plan)
        table = Table("point", "state", self._plan.cfg.metric, box=None, padding=(0, 2, 0, 0))
        order = {"running": 0, "failed": 1, "waiting": 2, "done": 3}
        for row in sorted(rows, key=lambda row: (order[row.state], row.number))[:SHOWN]:
            point, shown = self._plan.points[row.number], ""
            if row.state == "done":
                shown = f"{row.figures[self._plan.cfg.metric]:.4f}"
            elif row.state == "running":
                step, loss = steps_of(self._plan, point)
                shown = f"step {step}, loss {loss:.3f}" if loss is not None else "stages before training"
            table.add_row(escape(name_of(self._plan, point)), row.state, shown)
        counts = ", ".join(f"{sum(row.state == state for row in rows)} {state}" for state in order)
        return Group(table, counts)


def _print_result(plan: Plan, console: Console) -> None:
    from baichuan_jax.recipe.sweep.page import words
    from baichuan_jax.recipe.sweep.results import best_of, command_for, ranked, rows_of

    groups = ranked(plan, rows_of(plan))
    table = Table("settings", plan.cfg.metric, "deviation", "seeds", title="from the best", title_justify="left")
    for group in groups:
        mean = f"{group.mean:.4f}" if group.values else ""
        deviation = f"{group.deviation:.4f}" if group.deviation is not None else ""
        table.add_row(escape(words(group.settings)), mean, deviation, f"{len(group.values)} of {len(group.rows)}")
    console.print(table)
    if best := best_of(groups):
        console.print(f"best: {escape(words(best.settings))}; again by", soft_wrap=True)
        console.print(escape(command_for(plan, best.rows[0])), soft_wrap=True)


def _print_plan(plan: Plan, console: Console) -> None:
    from baichuan_jax.recipe.sweep.estimate import estimate
    from baichuan_jax.recipe.sweep.results import name_of, rows_of

    tell: Callable[[str], None] = lambda text: console.print(escape(text), soft_wrap=True)
    for row in rows_of(plan):
        tell(f"{name_of(plan, plan.points[row.number])}: {row.state}")
    for run in plan.shared:
        tell(f"{', '.join(run.stages)}: made once for points {', '.join(map(str, run.points))}")
    for line in estimate(plan):
        tell(line)
