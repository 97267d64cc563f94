"""What a sweep has come to: rows of its table, the best point and its command, and whose checkpoints stay."""

from __future__ import annotations

import shlex
from pathlib import Path
from shutil import rmtree

from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.lab.points import Group, PointRow, groups_of
from baichuan_jax.lab.sweep import describe
from baichuan_jax.recipe.sweep.over import apart_from_seed
from baichuan_jax.recipe.sweep.plan import Plan, PlannedPoint
from baichuan_jax.recipe.sweep.state import States
from baichuan_jax.recipe.workdir import CONFIG
from baichuan_jax.train.config import CHECKPOINTS, checkpoint_steps


def rows_of(plan: Plan) -> list[PointRow]:
    """Return a row for each point, in the order of their numbers."""
    states, found = States(plan.directory), []
    for point in plan.points:
        state, now = states.read(point.name), states.now(point.name)
        found.append(
            PointRow(
                number=point.number,
                settings=point.settings,
                group=apart_from_seed(point.settings),
                state=now,
                figures=state.figures if now == "done" else {},
                seconds=state.seconds,
                peak_memory_bytes=state.peak_memory_bytes,
                error=state.error if now == "failed" else "",
            )
        )
    return found


def ranked(plan: Plan, rows: list[PointRow]) -> list[Group]:
    """Return the settings of the sweep, from best to worst."""
    return groups_of(rows, plan.cfg.metric, plan.cfg.goal)


def best_of(groups: list[Group]) -> Group | None:
    """Return the best of those groups of which every point is done."""
    return groups[0] if groups and groups[0].whole else None


def command_for(plan: Plan, row: PointRow) -> str:
    """Return the command that makes a point again, as a run of its own beside the sweep."""
    point = plan.points[row.number]
    shared = [Path(config.workdir) for _, config in plan.shared_of(point)]
    base = next((str(workdir) for workdir in reversed(shared) if workdir.is_dir()), plan.config.base)
    settings = [
        *(line.replace(" = ", "=", 1) for line in point.lines),
        f"RunConfig.workdir={plan.directory}-{point.number}",
    ]
    settings += [f"RunConfig.base={base}"] if base else []
    words = ["baichuan-jax", "run", str(plan.directory / CONFIG)]
    return shlex.join([*words, *(f"--set={setting}" for setting in settings)])


def name_of(plan: Plan, point: PlannedPoint) -> str:
    """Return a point's number and the settings in which it differs from others."""
    apart = describe(point.settings, [each.settings for each in plan.points])
    return f"point {point.number} ({apart})" if apart else f"point {point.number}"


def steps_of(plan: Plan, point: PlannedPoint) -> tuple[int, float | None]:
    """Return the last step that the training of a point has logged, and its loss."""
    logged = [record for record in read_metrics(plan.runs / point.name / "train") if "loss" in record]
    return (logged[-1]["step"], logged[-1]["loss"]) if logged else (0, None)


def newest_checkpoint(plan: Plan, point: PlannedPoint) -> int:
    """Return the step that a point would go on from, 0 without a checkpoint."""
    return max(checkpoint_steps(plan.runs / point.name / "train" / CHECKPOINTS), default=0)


def drop_checkpoints(plan: Plan) -> None:
    """Delete the checkpoints of those points that cannot become the best: another group is whole, and better."""
    if plan.cfg.keep == "all":
        return
    groups = [group for group in ranked(plan, rows_of(plan)) if group.whole]
    for row in (row for group in groups[1:] for row in group.rows):
        folder = plan.runs / plan.points[row.number].name / "train" / CHECKPOINTS
        if folder.is_dir():
            rmtree(folder)
