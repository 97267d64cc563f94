"""The verb `tune inspect`: conversations with their loss masks, and what of the files is not trained on."""

from __future__ import annotations

import argparse

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from baichuan_jax.cli.inspect_view import visible
from baichuan_jax.cli.progress import terminal_progress
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import require
from baichuan_jax.lab.numbers import percent
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.tune_inspection import PERCENTS, SampleView, SourceView, inspect_tuning

SAMPLES, CHARACTERS = 3, 600  # shown of each kind; of the text of a prompt or an answer


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    verb.add_argument("--source", metavar="SOURCE", help="show only this source")
    verb.add_argument(
        "--reason", metavar="REASON", help="show all records that are not trained on for it, or 'cut' ones"
    )
    verb.add_argument("--samples", type=int, default=SAMPLES, metavar="N", help=f"samples of each kind ({SAMPLES})")


def inspect_conversations(loaded: Loaded, args: argparse.Namespace) -> None:
    """Show what tuning would make of the conversations of a config."""
    require(args.samples > 0, "--samples", args.samples, "a number of samples, 1 at least")
    found = inspect_tuning(Run(loaded.config, terminal_progress()), args.samples, args.source, args.reason)
    console = Console(highlight=False)
    for name, view in found.items():
        console.print(_counts(name, view))
        if view.refused:
            limit = loaded.config.instruction.max_bad
            said = f"{percent(view.refused, view.tally['read'])} of the records are bad, more than "
            console.print(Text(f"{said}InstructionConfig.max_bad = {limit:g}: tuning refuses this source", "bold red"))
        _print_faults(console, view)
        _print_samples(console, view.samples)
    if args.reason is None:
        console.print(_lengths(found, loaded.config.tune.length))


def _counts(name: str, view: SourceView) -> Table:
    tally = view.tally
    table = Table(name, "conversations", "share", box=box.SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    rows = [("read", tally["read"]), *tally["faults"].items(), ("kept", tally["kept"])]
    rows += [("  shortened (oldest turns left out)", tally["cut"]), ("  held out", tally["held_out"])]
    for what, count in rows:
        style = "bold" if what in ("read", "kept") else None
        table.add_row(what, f"{count:,}", percent(count, tally["read"]), style=style)
    return table


def _print_faults(console: Console, view: SourceView) -> None:
    for reason, messages in view.messages.items():
        console.print(Text(f"{reason}, for example" if view.samples else reason, "bold"))
        for message in messages:
            console.print(Padding(Text(visible(message)), (0, 0, 0, 2), expand=False))
        console.print()


def _print_samples(console: Console, samples: list[SampleView]) -> None:
    coloured = console.color_system is not None
    if samples:
        said = "in green: in the loss" if coloured else "«in the loss»"
        console.print(Text(f"samples ({said})", "bold"))
    for sample in samples:
        side = ", held out" if sample.held_out else ""
        text = Text(f"{visible(sample.place)} ({sample.length:,} tokens{side})\n", "dim")
        for piece, inside in sample.pieces:
            shown = visible(_middle_cut(piece))
            text.append(f"«{shown}»" if inside and not coloured else shown, "not dim green" if inside else "not dim")
        console.print(Padding(text, (0, 0, 1, 2), expand=False))


def _middle_cut(text: str) -> str:
    half = CHARACTERS // 2
    return text if len(text) <= CHARACTERS else f"{text[:half]} … {text[-half:]}"


def _lengths(found: dict[str, SourceView], length: int) -> Table:
    heads = (f"{percents}%" if percents < 100 else "longest" for percents in PERCENTS)
    table = Table("tokens", *heads, f"fit into {length}", "in the loss", box=box.SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, view in found.items():
        table.add_row(name, *(f"{value:,}" for value in view.lengths), f"{view.fit:.1%}", f"{view.in_loss:.1%}")
    return table
