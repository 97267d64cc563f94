"""Compare runs, points of sweeps, or experiments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from baichuan_jax.config.literal import gin_text
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import fingerprint, read_json
from baichuan_jax.lab.compare import Side, compare_runs, different_settings
from baichuan_jax.lab.experiment import RECORD, Outcome, Table
from baichuan_jax.lab.run_files import read_run
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.stages.evaluate import WINDOWS
from baichuan_jax.recipe.stages.tokenizer import tokenizer_place
from baichuan_jax.recipe.sweep.estimate import training_flops
from baichuan_jax.recipe.sweep.plan import RECORD as SWEEP_RECORD
from baichuan_jax.recipe.sweep.plan import read_plan
from baichuan_jax.recipe.sweep.results import best_of, ranked, rows_of
from baichuan_jax.recipe.table import STAGES
from baichuan_jax.recipe.workdir import CONFIG
from baichuan_jax.tokenizer.tokenizer_files import tokenizer_file


def compare(places: Sequence[Path]) -> Outcome:
    """Compare what is in these directories: runs, for a sweep its best point, or experiments.

    Raise UserError where there is neither, or some are runs and others experiments.
    """
    if len({place.resolve() for place in places}) < max(2, len(places)):
        raise UserError("compare needs two directories or more, each once")
    experiments = [(place / RECORD).is_file() for place in places]
    if all(experiments):
        return _compare_experiments(places)
    if any(experiments):
        raise UserError(
            f"{places[experiments.index(True)]} is an experiment, and others are not: compare like with like"
        )
    runs = [_run_in(place) for place in places]
    return compare_runs([_side(name, run) for name, run in zip(_names(places), runs)])


def _run_in(place: Path) -> Run:
    if not (place / SWEEP_RECORD).is_file():
        if not (place / CONFIG).is_file():
            raise UserError(f"there is no run, sweep or experiment in {str(place)!r}")
        return Run.open(place)
    plan = read_plan(place)
    best = best_of(ranked(plan, rows_of(plan)))
    if best is None:
        raise UserError(f"the sweep in {place} has no best point yet; name a point: {plan.runs / plan.points[0].name}")
    return Run.open(plan.runs / plan.points[best.rows[0].number].name)


def _names(places: Sequence[Path]) -> list[str]:
    """Return the last parts of the paths, as many as tell them apart."""
    parts = [place.resolve().parts for place in places]
    count = next(n for n in range(1, 1 + max(map(len, parts))) if len({each[-n:] for each in parts}) == len(parts))
    return ["/".join(each[-count:]) for each in parts]


def _side(name: str, run: Run) -> Side:
    record = read_run(run.workdir, {stage: run.place(stage) for stage in STAGES})
    if "train" not in record.results and not record.metrics:
        raise UserError(f"the run in {run.workdir} has not begun to train; train it first")
    windows = run.place("evaluate") / WINDOWS
    lines = [line.split(" = ", 1) for line in gin_text(run.config).splitlines() if line]
    return Side(
        name=name,
        record=record,
        settings=dict(lines),
        fingerprints=_fingerprints(run, record.code.get("train", {})),
        windows=read_json(windows) if windows.is_file() else {},
        step_flops=training_flops(run.config) / max(1, run.config.train.steps),
    )


def _fingerprints(run: Run, code: dict[str, str]) -> dict[str, str]:
    """Return digests of what a run was made from: its data, tokenizer and code."""
    model = fingerprint([tokenizer_file(tokenizer_place(run.config))]).values()
    made = {stage: run.pipeline.alone(stage).identity_there() or "" for stage in ("data", "tokens")}
    evaluated = (
        read_json(run.place("evaluate") / "result.json") if (run.place("evaluate") / "result.json").is_file() else {}
    )
    sizes = {domain: row["bytes"] for domain, row in evaluated.get("domains", {}).items()}
    return {
        "data": made["data"],
        "held-out text": f"{sum(sizes.values()):,} bytes in {len(sizes)} domains" if sizes else "",
        "tokenizer": ", ".join(entry["sha256"][:16] for entry in model),
        "tokens": made["tokens"],
        "code": code.get("commit", "")[:16],
        "changes of the code since": code.get("changes", ""),
    }


def _compare_experiments(places: Sequence[Path]) -> Outcome:
    """Return the settings and versions in which experiments differ, and their tables cell by cell."""
    records, names = [read_json(place / RECORD) for place in places], _names(places)
    settings = [dict(line.split(" = ", 1) for line in record["settings"] if line) for record in records]
    where = [f"{next(iter(each)).partition('.')[0]}.workdir" for each in settings]
    differ = {name: values for name, values in different_settings(settings).items() if name not in where}
    versions = different_settings([record["versions"] for record in records])
    both = {**differ, **{f"version of {package}": values for package, values in versions.items()}}
    tables = [Table("settings", "Settings that differ", ["setting", *names], [[n, *v] for n, v in both.items()])]
    shared = [name for name in records[0]["tables"] if all(name in record["tables"] for record in records)]
    for name in shared:
        tables.append(
            _cells_that_differ(name, names, [read_json(place / "tables" / f"{name}.json") for place in places])
        )
    kinds = ", ".join(dict.fromkeys(record["experiment"] for record in records))
    told = f"{len(differ)} settings differ" if len(differ) != 1 else "one setting differs"
    summary = f"{', '.join(names)} ({kinds}): {told}; {len(shared)} tables in common."
    return Outcome(summary, tables)


def _cells_that_differ(name: str, names: Sequence[str], tables: Sequence[list[dict[str, Any]]]) -> Table:
    """Return the cells of a table that are not equal in all; rows are matched by the texts that begin them."""
    keyed = [{_key(row): row for row in rows} for rows in tables]
    found = []
    for key in dict.fromkeys(key for rows in keyed for key in rows):
        rows = [each.get(key, {}) for each in keyed]
        for column in dict.fromkeys(column for row in rows for column in row):
            values = [row.get(column) for row in rows]
            if len(set(values)) > 1:
                found.append([", ".join(key), column, *values])
    note = "" if found else "All cells are equal."
    return Table(f"{name}_differences", f"Cells of {name} that differ", ["row", "column", *names], found, note)


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    texts = [value for value in row.values() if isinstance(value, str)]
    return tuple(texts) or (str(next(iter(row.values()), "")),)
