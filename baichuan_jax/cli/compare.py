"""The verb `compare`: runs, points of sweeps or experiments beside each other, printed and as a page."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from baichuan_jax.cli.experiment import print_outcome

HELP = "runs, points of sweeps or experiments beside each other: what differs, figures with uncertainty, curves"


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    verb.add_argument("first", type=Path, metavar="A", help="a workdir, a sweep (its best point) or an experiment's")
    verb.add_argument("others", type=Path, nargs="+", metavar="B", help="those that are compared with it")
    verb.add_argument("--out", type=Path, metavar="DIR", help="where the page goes (default: runs/compare/A-B)")


def compare(args: argparse.Namespace) -> None:
    """Print a comparison, and write it as a page with its tables and plots."""
    from baichuan_jax.lab.experiment import write_outcome
    from baichuan_jax.recipe.compare import compare as compare_places

    places = [args.first, *args.others]
    outcome = compare_places(places)
    out = args.out or Path("runs/compare") / "-".join(place.resolve().name for place in places)
    console = Console(highlight=False, markup=False)
    print_outcome(console, outcome)
    for note in outcome.notes:
        console.print(note)
    console.print(str(write_outcome("Comparison", outcome, out)), soft_wrap=True)
