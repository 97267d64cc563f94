"""The table of a sweep: its points with their figures, and which settings are best over their seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np

from baichuan_jax.core.files import atomic_path, write_csv
from baichuan_jax.lab.paired import compare_pairs
from baichuan_jax.lab.sweep import Point

OF_MACHINE = ("tokens_per_second", "device", "seconds", "peak_memory_bytes")  # columns that no second run repeats


@dataclass(frozen=True)
class PointRow:
    """A point of the table. settings: as varied. group: those that its seeds share. figures: of one that is done."""

    number: int
    settings: Point
    group: Point
    state: str
    figures: dict[str, Any]
    seconds: float
    peak_memory_bytes: int
    error: str


@dataclass(frozen=True)
class Group:
    """Points that differ in the seed alone. values: of the metric, of those that are done. whole: whether all are."""

    settings: Point
    rows: tuple[PointRow, ...]
    values: tuple[float, ...]
    whole: bool

    @property
    def mean(self) -> float:
        """Return the mean over seeds."""
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Return the standard deviation over seeds, None of fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else None


def groups_of(rows: Sequence[PointRow], metric: str, goal: Literal["minimize", "maximize"]) -> list[Group]:
    """Return the groups of seeds: whole ones from best to worst, then those with points to come or failed."""
    found: list[tuple[Point, list[PointRow]]] = []
    for row in rows:
        place = next((members for settings, members in found if settings == row.group), None)
        if place is None:
            found.append((row.group, [row]))
        else:
            place.append(row)
    groups = []
    for settings, members in found:
        values = tuple(float(row.figures[metric]) for row in members if row.state == "done")
        groups.append(Group(settings, tuple(members), values, len(values) == len(members)))
    sign = 1 if goal == "minimize" else -1
    return sorted(groups, key=lambda group: (not group.whole, sign * group.mean if group.whole else 0))


def against_best(group: Group, best: Group, goal: Literal["minimize", "maximize"]) -> str:
    """Return whether a group is worse than the best, seed by seed: "worse", or "cannot tell"."""
    if len(group.values) < 2 or len(group.values) != len(best.values):
        return "one seed: cannot tell" if len(group.values) < 2 else "other seeds: cannot tell"
    sign = 1 if goal == "minimize" else -1
    return compare_pairs(sign * (np.array(group.values) - np.array(best.values))).verdict


def table_of(rows: Sequence[PointRow]) -> tuple[list[str], list[list[Any]]]:
    """Return (columns, rows): number, state, settings, figures, and last what only this machine measured."""
    settings = dict.fromkeys(name for row in rows for name in row.settings)
    figures = [name for name in dict.fromkeys(name for row in rows for name in row.figures) if name not in OF_MACHINE]
    columns = ["point", "state", *settings, *figures, *OF_MACHINE, "error"]
    found = []
    for row in rows:
        machine = {**row.figures, "seconds": row.seconds or None, "peak_memory_bytes": row.peak_memory_bytes or None}
        cells = [row.settings.get(name) for name in settings] + [row.figures.get(name) for name in figures]
        found.append([row.number, row.state, *cells, *map(machine.get, OF_MACHINE), row.error])
    return columns, found


def write_tables(rows: Sequence[PointRow], directory: Path) -> tuple[Path, Path]:
    """Write results.csv and results.parquet; return where they are."""
    import pyarrow
    from pyarrow import parquet

    columns, cells = table_of(rows)
    csv_file, parquet_file = directory / "results.csv", directory / "results.parquet"
    write_csv(csv_file, [columns, *cells])
    typed = {name: pyarrow.array(_one_type([row[place] for row in cells])) for place, name in enumerate(columns)}
    with atomic_path(parquet_file) as partial:
        parquet.write_table(pyarrow.table(typed), partial)
    return csv_file, parquet_file


def _one_type(values: list[Any]) -> list[Any]:
    """Return values of one type that a column can have: numbers, or texts."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool} or kinds <= {int} or kinds <= {str}:
        return values
    if kinds <= {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else str(value) for value in values]
