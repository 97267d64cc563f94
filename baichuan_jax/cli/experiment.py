"""The verb `experiment`: runs a file of experiments/ by its name, its settings checked as those of a run are."""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as View

from baichuan_jax.cli.progress import terminal_progress
from baichuan_jax.config.load import REPOSITORY, load
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_text
from baichuan_jax.core.lock import exclusive

FOLDER = REPOSITORY / "experiments"


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb takes beside --set."""
    verb.add_argument("name", nargs="?", metavar="NAME", help="an experiment; without it, they are listed")
    verb.add_argument("config", nargs="?", metavar="CONFIG", help="a gin file that binds its settings")


def experiment(args: argparse.Namespace) -> None:
    """Run an experiment and prints its tables. Units of work that are on file are not done again.

    Raise UserError if there is no such experiment, or on a bad setting.
    """
    from baichuan_jax.lab.experiment import RECORD, check_name, class_name, find_experiments, write_record

    console = Console(highlight=False, markup=False)
    if args.name is None:
        for name, purpose in find_experiments(FOLDER).items():
            console.print(f"{name:28}{purpose}", soft_wrap=True)
        return
    check_name(args.name, FOLDER)
    if str(REPOSITORY) not in sys.path:
        sys.path.insert(0, str(REPOSITORY))
    module = import_module(f"experiments.{args.name}")
    loaded = load(args.config, args.overrides, getattr(module, class_name(args.name)))
    directory = Path(loaded.config.workdir)
    _make(directory, f"{class_name(args.name)}.workdir")
    with exclusive(directory / ".lock"):
        (directory / RECORD).unlink(missing_ok=True)  # of an earlier call: what follows may overwrite what it tells of
        write_text(directory / "config.gin", loaded.text)
        start = time.monotonic()
        with terminal_progress().units(args.name) as progress:
            outcome = module.run(loaded.config, directory, progress)
        page = write_record(args.name, loaded.text, outcome, time.monotonic() - start, directory)
    _print(console, outcome)
    console.print(str(page), soft_wrap=True)


def _make(directory: Path, field: str) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{field} = {str(directory)!r}: no directory ({error.strerror})") from error


def _print(console: Console, outcome) -> None:
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
