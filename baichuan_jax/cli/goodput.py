"""The verb `goodput`: where the wall time of a training went, across restarts."""

from __future__ import annotations

import argparse
import json
from datetime import datetime

from rich.markup import escape

from baichuan_jax.cli.summary import console, print_grid
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.goodput import read_goodput
from baichuan_jax.recipe.pipeline import Pipeline
from baichuan_jax.recipe.spec import Grid


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the option of the verb."""
    verb.add_argument("--json", action="store_true", help="print one JSON value instead of a table")


def goodput(loaded: Loaded, args: argparse.Namespace) -> None:
    """Print the parts of the wall time so far, and the faults that a supervisor saw."""
    found = read_goodput(Pipeline(loaded.config).place("train").parent).record()
    if args.json:
        print(json.dumps(found, indent=1))
        return
    rows = [(part, f"{seconds:,.1f}", f"{found['shares'][part]:.2%}") for part, seconds in found["seconds"].items()]
    title = f"{found['total_seconds']:,.1f} s, {found['starts']} starts, goodput {found['goodput']:.2%}"
    print_grid(Grid(("part", "seconds", "share"), rows, title))
    for fault in found["faults"]:
        console.print(
            escape(f"{datetime.fromtimestamp(fault['exited']):%Y-%m-%d %H:%M:%S} {fault['told']}"), soft_wrap=True
        )
