"""Runs beside each other: settings that differ, final figures with their uncertainty, curves, fingerprints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean
from typing import Any

import numpy as np
from scipy import stats

from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import Plot
from baichuan_jax.lab.run_files import RunRecord
from baichuan_jax.lab.sweep_plots import Curve, plot_of_curves

PLACES = ("RunConfig.workdir", "RunConfig.base")  # where a run is says nothing of it
LEVEL = 0.95
Windows = Mapping[str, Mapping[str, Sequence[float]]]  # {domain: {"bits", "bytes"} of each held-out window}


@dataclass(frozen=True)
class Side:
    """A run that is compared. settings: {name: gin text}. fingerprints: {what: digest}; "tokenizer" is among them.

    windows: of the evaluation, {} of a run that was evaluated before they were kept. step_flops: of an optimizer step.
    """

    name: str
    record: RunRecord
    settings: dict[str, str]
    fingerprints: dict[str, str]
    windows: Windows
    step_flops: float


def compare_runs(sides: Sequence[Side]) -> Outcome:
    """Return the comparison; the first run is what differences are taken from."""
    one_tokenizer = len({side.fingerprints["tokenizer"] for side in sides}) == 1
    settings = different_settings([side.settings for side in sides])
    names = [side.name for side in sides]
    tables = [Table("settings", "Settings that differ", ["setting", *names], [[n, *v] for n, v in settings.items()])]
    if bits := _bits(sides):
        columns = ["held-out text", "run", "bits per byte", "error", f"less {names[0]}", "low", "high", "verdict"]
        tables.append(Table("bits_per_byte", "Held-out bits per byte (lower is better)", columns, bits))
    tables.append(Table("training", "Training", ["quantity", *names], _training(sides, one_tokenizer)))
    marks = dict.fromkeys(name for side in sides for name in side.fingerprints)
    rows = [[name, *(side.fingerprints.get(name, "") for side in sides)] for name in marks]
    tables.append(Table("fingerprints", "Fingerprints", ["of", *names], [row for row in rows if any(row[1:])]))
    told = f"{len(settings)} settings differ" if len(settings) != 1 else "one setting differs"
    return Outcome(f"{', '.join(names)}: {told}.", tables, _plots(sides, one_tokenizer), _notes(sides, one_tokenizer))


def different_settings(settings: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return {setting: its value in each run} of those that differ; "" where a run does not know a setting."""
    names = dict.fromkeys(name for each in settings for name in each if name not in PLACES)
    values = {name: [each.get(name, "") for each in settings] for name in names}
    return {name: found for name, found in values.items() if len(set(found)) > 1}


def ratio_error(bits: np.ndarray, sizes: np.ndarray) -> float:
    """Return the standard error of sum(bits) / sum(sizes), by how much it varies over two windows or more."""
    rest = bits - bits.sum() / sizes.sum() * sizes
    count = len(bits)
    return sqrt(count / (count - 1) * float((rest**2).sum())) / float(sizes.sum())


def _bits(sides: Sequence[Side]) -> list[list[Any]]:
    """Return a row for each domain and run, and for the means over domains."""
    finals = [side.record.results.get("evaluate", {}).get("domains", {}) for side in sides]
    domains = [domain for domain in finals[0] if all(domain in final for final in finals)]
    rows: list[list[Any]] = []
    for domain in domains:
        first = finals[0][domain]["bits_per_byte"]
        for side, final in zip(sides, finals):
            value, error = final[domain]["bits_per_byte"], _error(side, domain)
            apart = _difference(value - first, _error_of_difference(side, sides[0], domain), side, sides[0], [domain])
            rows.append([domain, side.name, value, error, *apart])
    if len(domains) > 1:
        means = [fmean(final[domain]["bits_per_byte"] for domain in domains) for final in finals]
        for side, value in zip(sides, means):
            own = _of_mean([_error(side, domain) for domain in domains])
            of_means = _of_mean([_error_of_difference(side, sides[0], domain) for domain in domains])
            apart = _difference(value - means[0], of_means, side, sides[0], domains)
            rows.append(["mean", side.name, value, own, *apart])
    for side in sides:
        if validations := side.record.validations:
            value = fmean(validations[-1]["validation"].values())
            rows.append(["validation, as training ended", side.name, value, None, None, None, None, ""])
    return rows


def _error(side: Side, domain: str) -> float | None:
    windows = side.windows.get(domain)
    if not windows or len(windows["bits"]) < 2:
        return None
    return ratio_error(np.array(windows["bits"]), np.array(windows["bytes"], float))


def _error_of_difference(side: Side, first: Side, domain: str) -> float | None:
    """Return the standard error of a difference: window by window where both have the same ones."""
    own, other = side.windows.get(domain), first.windows.get(domain)
    if not own or not other or min(len(own["bits"]), len(other["bits"])) < 2:
        return None
    if list(own["bytes"]) == list(other["bytes"]):
        return ratio_error(np.array(own["bits"]) - np.array(other["bits"]), np.array(own["bytes"], float))
    return sqrt(sum((_error(each, domain) or 0.0) ** 2 for each in (side, first)))


def _of_mean(errors: Sequence[float | None]) -> float | None:
    known = [error for error in errors if error is not None]
    return sqrt(sum(error**2 for error in known)) / len(known) if len(known) == len(errors) else None


def _difference(value: float, error: float | None, side: Side, first: Side, domains: Sequence[str]) -> list[Any]:
    """Return a difference from the first run, the bounds of its interval, and what it shows."""
    if side is first:
        return [None, None, None, ""]
    if error is None:
        return [value, None, None, "no error is known"]
    fewest = min(len(each.windows[domain]["bits"]) for each in (side, first) for domain in domains)
    half = float(stats.t.ppf((1 + LEVEL) / 2, fewest - 1)) * error
    low, high = value - half, value + half
    return [value, low, high, "lower" if high < 0 else "higher" if low > 0 else "cannot tell"]


def _training(sides: Sequence[Side], one_tokenizer: bool) -> list[list[Any]]:
    of_result: dict[str, Callable[[dict], Any]] = {
        "parameters": lambda result: result["parameters"],
        "steps": lambda result: result["steps"],
        "memory of a step on a device, MiB": lambda result: _mib(result.get("step_memory_bytes")),
        "most memory on a device, MiB": lambda result: _mib(result.get("peak_memory_bytes")),
        "seconds of training": lambda result: result["seconds"],
        "device": lambda result: result["device"],
    }
    per_token: dict[str, Callable[[dict], Any]] = {
        "loss at the end, nats per token": lambda result: result.get("loss"),
        "tokens": lambda result: result["tokens"],
        "tokens per second": lambda result: result.get("tokens_per_second"),
    }
    results = [side.record.results.get("train") for side in sides]
    rows = [
        [name, *(value(result) if result else None for result in results)]
        for name, value in (of_result | (per_token if one_tokenizer else {})).items()
    ]
    rows.append(["GFLOPs of a step", *(side.step_flops / 1e9 for side in sides)])
    memory = [side.record.peak_host_memory.get("train") for side in sides]
    rows.append(["most memory of the process, MiB", *map(_mib, memory)])
    rows.append(["seed", *(side.settings.get("TrainConfig.seed", "") for side in sides)])
    return [row for row in rows if any(value not in (None, "") for value in row[1:])]


def _mib(size: int | None) -> float | None:
    return size / 2**20 if size else None


def _plots(sides: Sequence[Side], one_tokenizer: bool) -> list[Plot]:
    against = "tokens of training" if one_tokenizer else "bytes of training text, by the rate of held-out text"
    validations, losses = {}, {}
    for side in sides:
        per_step = side.record.tokens_per_step * (1.0 if one_tokenizer else _bytes_per_token(side))
        if records := side.record.validations:
            values = [fmean(record["validation"].values()) for record in records]
            validations[side.name] = _curve([record["step"] * per_step for record in records], values)
        if records := side.record.steps:
            losses[side.name] = _curve([record["step"] * per_step for record in records], [r["loss"] for r in records])
    plots = []
    if validations:
        plots.append(plot_of_curves(validations, "Validation during training", "bits per byte", against=against))
    if losses and one_tokenizer:
        plots.append(plot_of_curves(losses, "Training loss", "nats per token", "loss", against))
    return plots


def _curve(places: Sequence[float], values: Sequence[float]) -> Curve:
    return Curve(places, values, values, values)


def _bytes_per_token(side: Side) -> float:
    domains = side.record.results.get("evaluate", {}).get("domains", {}).values()
    tokens = sum(row["tokens"] for row in domains)
    return sum(row["bytes"] for row in domains) / tokens if tokens else 1.0


def _notes(sides: Sequence[Side], one_tokenizer: bool) -> list[str]:
    notes = [
        "Errors and intervals (95 %) are of the choice of held-out text: how figures vary over its windows, the "
        "difference window by window where runs have the same ones. Other seeds vary figures too: compare several."
    ]
    if not one_tokenizer:
        notes.append("The runs have different tokenizers: figures per token are left out, as they do not compare.")
    if len({side.fingerprints["held-out text"] for side in sides} - {""}) > 1:
        notes.append("The runs were evaluated on different held-out text: their bits per byte do not compare.")
    for side in sides:
        for change in side.record.changes:
            setting, before, after = change["setting"], change["before"], change["after"]
            notes.append(f"{side.name}: {setting} changed from {before} to {after} after step {change['step']}.")
    return notes
