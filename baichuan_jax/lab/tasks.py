"""Tables of evaluation tasks, as CSV and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baichuan_jax.core.files import read_json, write_csv, write_text
from baichuan_jax.lab import leaderboard
from baichuan_jax.lab.markup import Html, details, join, table
from baichuan_jax.lab.page import page

HEAD = ("of", "mean over", "asked", "score", "error", "95 %", "guessing")
FIELDS = ("mean", "stderr", "low", "high", "chance", "questions")
LEAD = (
    "Scores in percent, with their standard errors. A mean over questions counts every question alike, one over "
    "subjects every subject. The 95 % interval says how far the choice of questions may have moved a score; "
    "guessing is what choosing blindly reaches."
)


def title(result: dict[str, Any]) -> str:
    """Return the title of a result: "mmlu, 5-shot, at most 20 of a subject: acc"."""
    limit = f", at most {result['limit']} of a subject" if result["limit"] else ""
    chat = ", by the chat template" if "chat_template" in result else ""
    return f"{result['task']}, {result['fewshot']}-shot{limit}{chat}: {result['metric']}"


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return a row of a table, scores in percent."""
    percents = {name: f"{100 * row[name]:.1f}" for name in FIELDS[:-1]}
    over = {"category": "questions", "category of subjects": "subjects", "subject": "questions"}
    kind, interval = over.get(row["kind"], row["kind"]), f"{percents['low']}-{percents['high']}"
    return row["name"], kind, str(row["questions"]), percents["mean"], percents["stderr"], interval, percents["chance"]


def write_tables(directory: Path, models: Mapping[str, Path]) -> None:
    """Write results.csv, leaderboard.csv and results.html of every result in a directory.

    models: those of the leaderboard, {name: its directory of results}.
    """
    results = [read_json(path) for path in sorted(directory.glob("*shot*.json"))]
    lines = [["task", "metric", "fewshot", "limit", "chat_template", "name", "kind", *FIELDS]]
    for result in results:
        asked = [result["task"], result["metric"], result["fewshot"], result["limit"] or ""]
        asked.append(result.get("chat_template", ""))
        lines += [[*asked, row["name"], row["kind"], *(row[name] for name in FIELDS)] for row in result["rows"]]
    write_csv(directory / "results.csv", lines)
    write_csv(directory / "leaderboard.csv", [("model", *leaderboard.COLUMNS), *leaderboard.rows(models)])
    sections = [("Beside the published figures", leaderboard.section(models))]
    sections += [(title(result), _section(result)) for result in results]
    write_text(directory / "results.html", page("Evaluation tasks", Html(LEAD), sections))


def _section(result: dict[str, Any]) -> Html:
    is_subject = [row["kind"] == "subject" for row in result["rows"]]
    whole = [cells(row) for row, one in zip(result["rows"], is_subject) if not one]
    subjects = [cells(row) for row, one in zip(result["rows"], is_subject) if one]
    folded = [details(f"By subject ({len(subjects)})", table("by subject", HEAD, subjects))] if subjects else []
    others = [(name, f"{100 * value['mean']:.1f}") for name, value in result["other_metrics"].items()]
    more = [table("other metrics, over questions", ("metric", "score"), others[1:])] if len(others) > 1 else []
    return join((table("in all", HEAD, whole), *folded, *more))
