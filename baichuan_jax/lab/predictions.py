"""Predictions of an experiment: a file written and committed before it runs, compared with its tables afterwards."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.revision import git
from baichuan_jax.lab.experiment import Table, cell

Verdict = Literal["right", "wrong", "no outcome"]


@dataclass(frozen=True)
class Prediction:
    """What one cell of a table is going to be: a number from low to high, or one of the texts in `expect`.

    says: the prediction as a sentence. row: {column: value} that the row has.
    """

    says: str
    table: str
    column: str
    row: Mapping[str, str | float] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    expect: Sequence[str] = ()

    def judge(self, tables: Sequence[Table]) -> tuple[str | float | None, Verdict]:
        """Return the outcome and the verdict; None and "no outcome" if no table has the cell."""
        for table in tables:
            rows = (dict(zip(table.columns, values)) for values in table.rows)
            for row in rows if table.name == self.table else ():
                if self.row.items() <= row.items() and row.get(self.column) is not None:
                    return row[self.column], "right" if self._holds(row[self.column]) else "wrong"
        return None, "no outcome"

    def _holds(self, value: Any) -> bool:
        if self.expect:
            return value in self.expect
        return not isinstance(value, str) and (
            (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
        )

    @property
    def expected(self) -> str:
        """What is predicted, as a cell of the page."""
        if self.expect:
            return " or ".join(self.expect)
        bounds = (("at least", self.low), ("at most", self.high))
        return ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


def read_predictions(path: Path) -> list[Prediction]:
    """Return the predictions of a TOML file, each a [[prediction]]; none if there is no file.

    Raise UserError if it cannot be read, or a prediction lacks a field, has another one, or does not predict.
    """
    if not path.is_file():
        return []
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no TOML file: {error}") from error
    entries = found.get("prediction")
    if set(found) != {"prediction"} or not isinstance(entries, list):
        raise UserError(f"{path}: expected [[prediction]] sections and nothing else")
    return [_prediction(path, number, entry) for number, entry in enumerate(entries, 1)]


def _prediction(path: Path, number: int, entry: Mapping[str, Any]) -> Prediction:
    known = {each.name for each in fields(Prediction)}
    where = f"{path}, prediction {number}"
    if unknown := sorted(set(entry) - known):
        raise UserError(f"{where}: unknown field {unknown[0]!r}; the fields are {', '.join(sorted(known))}")
    if missing := [name for name in ("says", "table", "column") if not entry.get(name)]:
        raise UserError(f"{where}: {missing[0]!r} is missing")
    if bool(entry.get("expect")) == ("low" in entry or "high" in entry):
        raise UserError(f"{where}: give either 'expect', a list of texts, or 'low' and 'high'")
    return Prediction(**entry)


def judge_predictions(predictions: Sequence[Prediction], tables: Sequence[Table], path: Path, units: Path) -> Table:
    """Return the table of predictions beside outcomes. path: of their file. units: folder of the units of work."""
    rows = []
    for each in predictions:
        outcome, verdict = each.judge(tables)
        rows.append([each.says, each.expected, cell(outcome), verdict])
    columns = ["prediction", "expected", "outcome", "verdict"]
    right, judged = (sum(row[-1] in kinds for row in rows) for kinds in (("right",), ("right", "wrong")))
    note = f"{right} of {judged} right. {_dates(path, units)}"
    return Table("predictions", "Predictions, and what came", columns, rows, note)


def _dates(path: Path, units: Path) -> str:
    """Return when the predictions were committed and when the first unit of work ended."""
    ended = min((manifest.stat().st_mtime for manifest in units.glob("*/manifest.json")), default=None)
    run = f" The first run ended {_written(ended)}." if ended else ""
    committed = git(path.parent, "log", "-1", "--format=%ct", "--", path.name).strip()
    if not committed:
        return f"{path.name} is not under version control here.{run}"
    too_late = (
        " That is later than the first run: these are no predictions." if ended and float(committed) > ended else ""
    )
    return f"{path.name} was committed {_written(float(committed))}.{run}{too_late}"


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
