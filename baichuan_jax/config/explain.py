"""Print every value of a config, where it came from, and what it means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from baichuan_jax.config.literal import literal, parts, values
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.settings import help_of

WIDEST_COLUMN = 40  # longer values push their own row only


def print_explain(loaded: Loaded, console: Console) -> None:
    """Print the table: styled on a terminal, plain when piped, never truncated."""
    for line in _lines(loaded):
        console.print(line, soft_wrap=True)


def _lines(loaded: Loaded) -> Iterable[Text]:
    """Yield a heading per section and a row per field: name, value, origin, help text."""
    sections = [part for part in parts(loaded.config) if values(part)]
    rows = {type(part).__name__: _rows(part, loaded.origins) for part in sections}
    widths = [max(len(row[i]) for table in rows.values() for row in table) for i in range(3)]
    for name, table in rows.items():
        yield Text(name, style="bold")
        for row in table:
            yield _line(row, widths)


def _rows(section: Any, origins: dict[str, str]) -> list[tuple[str, str, str, str]]:
    name, help = type(section).__name__, help_of(type(section))
    return [
        (field, literal(value), origins[f"{name}.{field}"], help.get(field, ""))
        for field, value in values(section).items()
    ]


def _line(row: tuple[str, ...], widths: list[int]) -> Text:
    field, value, origin, help = row
    line = Text("  ")
    line.append(field.ljust(widths[0]) + "  ", "cyan")
    line.append(value.ljust(min(widths[1], WIDEST_COLUMN)) + "  ")
    line.append(origin.ljust(min(widths[2], WIDEST_COLUMN)) + "  ", "dim" if origin == "default" else "green")
    line.append(help, "dim italic")
    line.rstrip()
    return line
