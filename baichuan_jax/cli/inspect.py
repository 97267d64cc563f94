"""The verb `data inspect`: the texts behind the numbers of a finished data step, on the terminal or as a page."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from baichuan_jax.cli.inspect_view import show_domain
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import require
from baichuan_jax.recipe.inspection import KEPT, inspect_data
from baichuan_jax.recipe.run import Run

TERMINAL, PAGE = 3, 10  # texts of each kind, unless --samples says otherwise


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    verb.add_argument("--domain", metavar="DOMAIN", help="show only this domain")
    verb.add_argument("--reason", metavar="REASON", help=f"show only texts that went for it, or {KEPT!r} ones")
    verb.add_argument("--samples", type=int, metavar="N", help=f"texts of each kind ({TERMINAL}; on a page {PAGE})")
    verb.add_argument("--html", type=Path, metavar="PATH", help="write a page instead")


def inspect(loaded: Loaded, args: argparse.Namespace) -> None:
    """Show the funnel of a finished data step, and texts that went or stayed."""
    number = args.samples
    if number is None:
        number = PAGE if args.html else TERMINAL
    require(number > 0, "--samples", number, "a number of texts, 1 at least")
    run = Run(loaded.config)
    found = inspect_data(run, number, args.domain, args.reason)
    result = found.result.as_record()
    if args.html:
        from baichuan_jax.lab.inspect import write_page  # brings matplotlib in

        write_page(run.workdir.resolve().name, result, found.kept, found.pairs, args.html)
        print(args.html)
        return
    console = Console(highlight=False)
    for name in result["funnel"]:
        show_domain(console, name, result, found.kept[name], found.pairs[name])
