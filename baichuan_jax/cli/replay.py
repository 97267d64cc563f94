"""The verb `data replay`: the documents that a step was trained on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.markup import escape

from baichuan_jax.cli.inspect_view import visible
from baichuan_jax.cli.summary import console
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import UserError, require
from baichuan_jax.recipe.run import Run

if TYPE_CHECKING:
    from baichuan_jax.recipe.replay import Excerpt


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    verb.add_argument("--step", type=int, required=True, metavar="N", help="the step, from 1")
    verb.add_argument("--characters", type=int, default=80, metavar="N", help="characters shown of each document (80)")


def replay_step(loaded: Loaded, args: argparse.Namespace) -> None:
    """Print the documents of each sequence. Raise UserError if the batch is not the one that was trained on."""
    from baichuan_jax.recipe.replay import replay  # brings numpy in

    require(args.characters > 0, "--characters", args.characters, "a positive integer")
    found = replay(Run(loaded.config), args.step)
    for number, (domain, excerpts) in enumerate(found.rows):
        console.print(escape(f"row {number}: {domain}"), style="bold")
        for excerpt in excerpts:
            console.print(escape(_line(excerpt, args.characters)), soft_wrap=True)
    on_record = {found.hash: ", as it was trained on", "": ", not on record yet"}
    console.print(escape(f"step {args.step}: batch hash {found.hash}{on_record.get(found.logged, '')}"), soft_wrap=True)
    if found.logged not in on_record:
        raise UserError(
            f"step {args.step} was trained on another batch, of hash {found.logged}: tokens, settings or the record of "
            "mixtures have changed since"
        )


def _line(excerpt: Excerpt, characters: int) -> str:
    part = excerpt.part
    where = f" {excerpt.source} (id {excerpt.id})" if excerpt.id else ""
    text = visible(" ".join(excerpt.text.split()))
    shown = text if len(text) <= characters else f"{text[:characters]}…"
    return f"  document {part.number}{where}, ids {part.first}-{part.end - 1} of {part.length}: {shown}"
