"""Figures of a finished point: what points are compared by, and the other columns of the table."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.table import STAGES

OF_STAGE = {"bits_per_byte": "evaluate", "validation": "train"}
# Of training, for the table alone. The last two depend on the machine and on what else it does.
TRAINING = ("loss", "parameters", "tokens", "steps", "tokens_per_second", "device")


def stage_of(metric: str) -> str:
    """Return the stage that has a metric. Raise UserError if no stage has such a validation figure."""
    name, _, _ = metric.partition("/")
    if name in OF_STAGE:
        return OF_STAGE[name]
    stage, _, field = metric.partition(".")
    if stage == "train":
        raise UserError(
            f"SweepConfig.metric = {metric!r}: the figures of training say nothing of other text; take 'validation' or "
            "'bits_per_byte'"
        )
    if stage not in STAGES or not field:
        raise UserError(
            f"SweepConfig.metric = {metric!r}: expected 'bits_per_byte', 'validation', one of them with '/DOMAIN', or "
            f"'STAGE.FIELD'{did_you_mean(name.partition('.')[0], OF_STAGE)}"
        )
    return stage


def figures_of(run: Run, stages: tuple[str, ...], metric: str) -> dict[str, Any]:
    """Return the figures of a run whose stages are finished, by their names; the metric is among them.

    Raise UserError if the run has no such figure.
    """
    results = {name: run.result(name).as_record() for name in stages}
    found: dict[str, Any] = {}
    if "evaluate" in results:
        domains = results["evaluate"]["domains"]
        found |= _means("bits_per_byte", {name: row["bits_per_byte"] for name, row in domains.items()})
    found |= _means("validation", results.get("train", {}).get("validation") or {})
    if metric not in found:
        stage = stage_of(metric)
        value = results[stage].get(metric.partition(".")[2])
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"SweepConfig.metric = {metric!r}: there is no such number; there are {', '.join(found)}")
        found[metric] = value
    return found | {name: results["train"][name] for name in TRAINING if name in results.get("train", {})}


def _means(name: str, by_domain: Mapping[str, float]) -> dict[str, float]:
    if not by_domain:
        return {}
    return {name: fmean(by_domain.values()), **{f"{name}/{domain}": value for domain, value in by_domain.items()}}
