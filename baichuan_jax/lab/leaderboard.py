"""Our models in the recipe's published table of five-shot scores, in percent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from baichuan_jax.core.files import read_json
from baichuan_jax.lab.markup import Html, table

SHOTS = 5


class Column(NamedTuple):
    """tasks: the first one with results counts. name, kind: the row of the result; "" is the task itself."""

    tasks: tuple[str, ...]
    name: str
    kind: str


# lm-eval's STEM has a subject that the authors of MMLU count among the others.
_CEVAL, _MMLU, _OWN = ("baichuan_ceval", "ceval-valid"), ("baichuan_mmlu", "mmlu"), ("baichuan_mmlu",)
COLUMNS = {
    "C-Eval": Column(_CEVAL, "", "subjects"),
    "hard": Column(_CEVAL, "hard", "category of subjects"),
    "Gaokao": Column(("baichuan_gaokao",), "", "questions"),
    "AGIEval": Column(("baichuan_agieval",), "", "questions"),
    "MMLU": Column(_MMLU, "", "questions"),
    "humanities": Column(_MMLU, "humanities", "category"),
    "social sciences": Column(_MMLU, "social sciences", "category"),
    "stem": Column(_OWN, "stem", "category"),
    "other": Column(_OWN, "other", "category"),
}
# The recipe's table; its C-Eval is that of the test questions, whose answers only its authors have.
PUBLISHED = {"Baichuan-7B, published": (42.8, 31.5, 36.24, 34.44, 42.3, 38.4, 48.9, 35.6, 48.1)}
NOTE = "Five-shot, in percent. ~ marks figures of fewer questions than the set has; C-Eval of ours is of validation."


def rows(directories: Mapping[str, Path]) -> list[tuple[str, ...]]:
    """Return (model, scores) of every published model and of ours, {name: directory of results}."""
    found = [(name, *(f"{score:.1f}" for score in scores)) for name, scores in PUBLISHED.items()]
    for name, directory in directories.items():
        results = [read_json(path) for path in sorted(directory.glob(f"*-{SHOTS}shot*.json"))]
        scores, guesses = ([_cell(results, at, field) for at in COLUMNS.values()] for field in ("mean", "chance"))
        if any(scores):
            found += [(name, *scores), (f"{name}, by guessing", *guesses)]
    return found


def section(directories: Mapping[str, Path]) -> Html:
    """Return the table as markup."""
    return table(NOTE, ("model", *COLUMNS), rows(directories))


def _cell(results: list[dict[str, Any]], column: Column, field: str) -> str:
    """Return the score of the preferred result: all questions before some, the recipe's task before lm-eval's."""
    ours = [result for task in column.tasks for result in results if result["task"] == task]
    for result in sorted(ours, key=lambda result: result["limit"] is not None):
        names = (column.name, f"mmlu_{column.name.replace(' ', '_')}") if column.name else (result["task"],)
        for row in result["rows"]:
            if row["kind"] == column.kind and row["name"] in names:
                return f"{'~' if result['limit'] else ''}{100 * row[field]:.1f}"
    return ""
