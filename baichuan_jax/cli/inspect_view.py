"""A finished data step on the terminal: a domain's funnel, and its texts."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from baichuan_jax.lab.difference import Pieces, difference
from baichuan_jax.lab.funnel import BESIDE, ordered
from baichuan_jax.lab.numbers import percent

CHARACTERS, AROUND = 300, 60  # shown of a document; beside each difference of near-duplicates
BARS = " ▁▂▃▄▅▆▇█"
# Text of the web may hold codes that command a terminal, or turn its writing round; they are made visible.
CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
CONTROLS |= dict.fromkeys((0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD)


def show_domain(console: Console, name: str, result: dict, kept: Sequence[dict], pairs: Sequence[dict]) -> None:
    """Print what became of a domain. result: of the stage, with the samples to show."""
    counts = result["funnel"][name]
    console.print(_funnel(name, counts))
    if scores := _bars(result["domains"][name]["scores"]):
        console.print(f"scores of documents kept: 0 [{scores}] 1\n", markup=False)
    for part, unit in (("removed", "documents"), ("pruned", "sentences")):
        for reason, entry in ordered(counts[part]):
            if entry["samples"]:
                beside = f"; {BESIDE}" if any("twin" in sample for sample in entry["samples"]) else ""
                console.print(Text(f"{reason}: {entry['documents']:,} {unit}, for example{beside}", "bold"))
            for sample in entry["samples"]:
                if "twin" in sample:
                    console.print(Padding(_side_by_side(sample, sample["twin"], None), (0, 0, 1, 2)))
                else:
                    _print_text(console, sample["source"], sample["text"])
    if pairs:
        console.print(Text(f"near-duplicates: {BESIDE}", "bold"))
    for pair in pairs:
        console.print(Padding(_side_by_side(pair["gone"], pair["kept"], AROUND), (0, 0, 1, 2)))
    if kept:
        console.print(Text("kept, for example", "bold"))
    for document in kept:
        score = "" if document["score"] < 0 else f", score {document['score']:.2f}"
        _print_text(console, f"{document['source']} ({document['language']}{score})", document["text"])


def _funnel(name: str, counts: dict) -> Table:
    read, kept = counts["read"], counts["kept"]
    table = Table(name, "documents", "share", "bytes", "share", box=box.SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    for reason, entry in [("read", read), *ordered(counts["removed"]), ("kept", kept)]:
        shares = {key: percent(entry[key], read[key]) for key in ("documents", "bytes")}
        size = [text for key, share in shares.items() for text in (f"{entry[key]:,}", share)]
        table.add_row(reason, *size, style="bold" if reason in ("read", "kept") else None)
    if counts["pruned"]:
        table.add_section()
    for reason, entry in ordered(counts["pruned"]):
        table.add_row(f"{reason} (sentences)", f"{entry['documents']:,}", "", f"{entry['bytes']:,}", "")
    return table


def _bars(histogram: Sequence[int]) -> str:
    """Return one character for each count, or "" if all are 0; only a count of 0 is blank."""
    highest = max(histogram, default=0)
    return "".join(BARS[-(-8 * count // highest)] for count in histogram) if highest else ""


def _print_text(console: Console, source: str, text: str) -> None:
    shown = text.strip() if len(text) <= CHARACTERS else f"{text[:CHARACTERS].strip()}…"
    console.print(Padding(Text(visible(source), "dim"), (0, 0, 0, 2), expand=False))
    console.print(Padding(Text(visible(shown)), (0, 0, 1, 4), expand=False))


def _side_by_side(gone: dict, kept: dict, around: int | None) -> Table:
    """Return two columns with the parts that differ marked, and equal parts cut to `around` (`difference`)."""
    grid = Table.grid(padding=(0, 2), expand=True)
    for _ in range(2):
        grid.add_column(ratio=1, overflow="fold")
    sides = difference(gone["text"], kept["text"], around)
    grid.add_row(*(_marked(side["source"], pieces) for side, pieces in zip((gone, kept), sides)))
    return grid


def _marked(source: str, pieces: Pieces) -> Text:
    text = Text(f"{visible(source)}\n", "dim")
    for piece, same in pieces:
        text.append(visible(piece), "not dim" if same else "not dim reverse")
    return text


def visible(text: str) -> str:
    """Return a text with its control characters made visible."""
    return text.translate(CONTROLS)
