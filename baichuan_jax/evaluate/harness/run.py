"""Run tasks: ask every question, keep every answer, and score subjects, categories and the whole."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.model import LM
from lm_eval.evaluator import evaluate

from baichuan_jax.core.errors import UserError
from baichuan_jax.evaluate.harness.categories import categories
from baichuan_jax.evaluate.harness.scores import Figure, chance, over_subjects, pooled


def run_task(lm: LM, name: str, loaded: dict, limit: int | None, chat: bool = False) -> tuple[dict, list[dict]]:
    """Ask the questions of the tasks from `load_tasks`, at most `limit` per subject; with `chat` by the chat template.

    Return the result, JSON values: {"task", "metric", "fewshot", "limit", "seconds", "rows", "other_metrics"}, a row
    being {"name", "kind", and what `Figure.summary` has}; and the answers, {"subject", "question", "scores"} each.
    Raise UserError if the task does not support these settings.
    """
    start = time.monotonic()
    shots = max(task.get_config("num_fewshot") for task in loaded["tasks"].values())
    try:
        options = {"bootstrap_iters": 0, "confirm_run_unsafe_code": True, "apply_chat_template": chat}
        found = evaluate(lm, loaded, limit=limit, **options)["samples"]
    except AssertionError as error:  # as lm-eval says it where a task knows no solved examples
        raise UserError(f"lm-eval refuses {name} with {shots} examples: {error}") from error
    metrics = {metric: _figures(found, *metric) for metric in _metrics(found)}
    first = next(iter(metrics))
    result = {
        "task": name,
        "metric": _written(first),
        "fewshot": shots,
        "limit": limit,
        "seconds": round(time.monotonic() - start, 2),
        "rows": rows_of(name, metrics[first], loaded.get("group_map", {})),
        "other_metrics": {_written(metric): pooled(list(of.values())).summary() for metric, of in metrics.items()},
    }
    return result, [_answer(subject, sample) for subject, samples in found.items() for sample in samples]


def rows_of(name: str, figures: Mapping[str, Figure], members: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the rows of a table: all questions, the mean over subjects, the categories, and each subject."""
    rows = [{"name": name, "kind": "questions", **pooled(list(figures.values())).summary()}]
    if len(figures) == 1:
        return rows
    rows.append({"name": name, "kind": "subjects", **over_subjects(list(figures.values()))})
    for category, subjects in categories(name, list(figures), members).items():
        parts = [figures[subject] for subject in subjects]
        rows.append({"name": category, "kind": "category", **pooled(parts).summary()})
        rows.append({"name": category, "kind": "category of subjects", **over_subjects(parts)})
    return rows + [{"name": subject, "kind": "subject", **figure.summary()} for subject, figure in figures.items()]


def _metrics(found: dict[str, list[dict]]) -> list[tuple[str, str]]:
    """Return the (metric, filter) pairs of the samples, in the order of the tasks."""
    samples = (sample for samples in found.values() for sample in samples)
    return list(dict.fromkeys((metric, sample["filter"]) for sample in samples for metric in sample["metrics"]))


def _written(metric: tuple[str, str]) -> str:
    name, filter = metric
    return name if filter == "none" else f"{name}, {filter}"


def _figures(found: dict[str, list[dict]], metric: str, filter: str) -> dict[str, Figure]:
    figures = {}
    for subject, samples in found.items():
        chosen = [sample for sample in samples if sample["filter"] == filter and metric in sample]
        if chosen:
            values = tuple(float(sample[metric]) for sample in chosen)
            figures[subject] = Figure(values, tuple(map(chance, chosen)))
    return figures


def _answer(subject: str, sample: dict) -> dict[str, Any]:
    return {
        "subject": subject,
        "question": sample["doc_id"],
        "filter": sample["filter"],
        "target": sample["target"],
        "answers": sample["filtered_resps"],
        "scores": {metric: sample[metric] for metric in sample["metrics"]},
    }
