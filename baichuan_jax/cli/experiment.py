"""The verb `experiment`: runs a file of experiments/ by its name, and prints its tables."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as View

from baichuan_jax.cli.progress import terminal_progress
from baichuan_jax.cli.settings_help import settings_text
from baichuan_jax.core.errors import UserError

if TYPE_CHECKING:
    from baichuan_jax.lab.experiment import Outcome


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb takes beside --set."""
    verb.add_argument("name", nargs="?", metavar="NAME", help="an experiment; without it, they are listed")
    verb.add_argument("config", nargs="?", metavar="CONFIG", help="a gin file that binds its settings")
    verb.add_argument("-h", "--help", action=_Help, help="show this, and after NAME also the settings it takes")


class _Help(argparse._HelpAction):
    """The help of the verb; with that of the experiment that is named before it, which only then is imported."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *args: Any) -> None:
        if namespace.name:
            from baichuan_jax.recipe.experiments import settings_of

            try:
                parser.epilog = settings_text([settings_of(namespace.name)])
            except UserError as error:
                parser.error(str(error))
            parser.formatter_class = argparse.RawDescriptionHelpFormatter
        super().__call__(parser, namespace, *args)


def experiment(args: argparse.Namespace) -> None:
    """Run an experiment and print its tables; without a name, list all."""
    from baichuan_jax.recipe.experiments import experiments, run_experiment

    console = Console(highlight=False, markup=False)
    if args.name is None:
        for name, purpose in experiments().items():
            console.print(f"{name:28}{purpose}", soft_wrap=True)
        return
    outcome, page = run_experiment(args.name, args.config, args.overrides, terminal_progress())
    print_outcome(console, outcome)
    console.print(str(page), soft_wrap=True)


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print the tables that are for the terminal, and the summary."""
    from baichuan_jax.lab.experiment import cell

    for each in [each for each in outcome.tables if each.shown == "terminal"]:
        view = View(title=each.title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
        for number, column in enumerate(each.columns):
            view.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in each.rows:
            view.add_row(*map(cell, row))
        _wide(view).print(view)
        if each.note:
            console.print(each.note)
    console.print(outcome.summary)


def _wide(view: View) -> Console:
    """Return a console as wide as a table: a cell cut off tells nothing, and one that a terminal wraps can be read."""
    console = Console(highlight=False, markup=False, width=1000)
    return Console(highlight=False, markup=False, width=Measurement.get(console, console.options, view).maximum)
