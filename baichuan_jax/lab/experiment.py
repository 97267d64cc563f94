"""Experiments: one file each, found by name; their outcome, and the record written to disk.

An experiment is `FOLDER/some_name.py` with
- a docstring with its question, command and cost;
- `class SomeName`: a frozen dataclass of settings with a `workdir`, whose other fields may be sections;
- `run(cfg: SomeName, directory: Path, progress: Progress) -> Outcome`, which does long work with `sweep.run_units`;
- `DEBUG`: settings ("SomeName.vocabs=(300,)", ...) that make it finish in seconds; a test runs it with them.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_csv, write_json, write_text
from baichuan_jax.core.stage import versions
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.lab.markup import Html, details, escape, join, table, tag
from baichuan_jax.lab.numbers import duration

if TYPE_CHECKING:
    from baichuan_jax.lab.page import Canvas
    from baichuan_jax.lab.plots import Plot

RECORD, PAGE = "record.json", "report.html"


@dataclass(frozen=True)
class Table:
    """Unrounded numbers. name: of its files. rows: a cell is a string, a number, or None if it is empty.

    shown: "terminal" (and page and files), "page" (and files), or "files" only.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]
    note: str = ""
    shown: Literal["terminal", "page", "files"] = "terminal"


@dataclass(frozen=True)
class Outcome:
    """The result of an experiment. summary: one or two sentences. plots, tables: in the order of the page."""

    summary: str
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    notes: Sequence[str] = ()


def class_name(name: str) -> str:
    """Return the name of the settings class of an experiment: some_name -> SomeName."""
    return "".join(word.capitalize() for word in name.split("_"))


def find_experiments(folder: Path) -> dict[str, str]:
    """Return {name: first line of its docstring} of the files that hold an experiment."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in module.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        if {class_name(path.stem), "run"} <= names:
            found[path.stem] = (ast.get_docstring(module) or "").partition("\n")[0]
    return found


def check_name(name: str, folder: Path) -> None:
    """Raise UserError unless there is such an experiment."""
    known = find_experiments(folder)
    if name not in known:
        raise UserError(f"unknown experiment {name!r}{did_you_mean(name, known)}; available: {', '.join(known)}")


def write_record(name: str, config: str, outcome: Outcome, seconds: float, directory: Path) -> Path:
    """Write tables/*.csv and *.json, plots/*.png, the page, and record.json last; return the page's path.

    config: the settings as text. seconds: of this call; units that existed already took none.
    """
    page = write_outcome(name, outcome, directory, [("Record", _record(config, seconds))])
    record = {
        "experiment": name,
        "settings": config.splitlines(),
        "versions": versions(),
        "seconds": round(seconds, 2),
        "summary": outcome.summary,
        "tables": [each.name for each in outcome.tables],
        "plots": [f"{plot.name}.png" for plot in outcome.plots],
    }
    write_json(directory / RECORD, record)
    return page


def write_outcome(title: str, outcome: Outcome, directory: Path, more: Sequence[tuple[str, Html]] = ()) -> Path:
    """Write tables/*.csv and *.json, plots/*.png and the page; return the page's path.

    more: sections of the page after the results, (heading, content).
    """
    from baichuan_jax.lab.page import Canvas, page  # brings matplotlib in

    for each in outcome.tables:
        write_csv(directory / "tables" / f"{each.name}.csv", [each.columns, *each.rows])
        rows = [dict(zip(each.columns, row)) for row in each.rows]
        write_json(directory / "tables" / f"{each.name}.json", rows)
    sections = [("Results", join(_results(outcome, Canvas(directory / "plots")), "\n")), *more]
    write_text(directory / PAGE, page(title, escape(outcome.summary), sections))
    return directory / PAGE


def _results(outcome: Outcome, canvas: Canvas) -> list[Html]:
    parts = [canvas.figures(*outcome.plots)] if outcome.plots else []
    for each in [each for each in outcome.tables if each.shown != "files"]:
        parts.append(table(each.title, each.columns, [[*map(cell, row)] for row in each.rows]))
        parts += [tag("p", each.note, class_="note")] if each.note else []
    return parts + [tag("p", note, class_="note") for note in outcome.notes]


def _record(config: str, seconds: float) -> Html:
    rows = list(versions().items())
    return join(
        [
            tag(
                "p", f"This call took {duration(seconds)}; units of work that were on file cost nothing.", class_="note"
            ),
            details("Settings", tag("pre", config)),
            details("Versions", table("Versions", ["package", "version"], rows)),
        ]
    )


def cell(value: str | int | float | None) -> str:
    """Return a cell formatted for reading: thousands separators, rounded fractions."""
    match value:
        case None:
            return ""
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}"
    return value
