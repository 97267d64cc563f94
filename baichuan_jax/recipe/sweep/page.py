"""The page of a sweep: the best point and its command, the table, a plot for each setting, and curves."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from baichuan_jax.config.literal import literal
from baichuan_jax.core.files import write_text
from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.lab.experiment import cell
from baichuan_jax.lab.markup import Html, details, escape, join, table, tag
from baichuan_jax.lab.numbers import duration
from baichuan_jax.lab.page import Canvas, page
from baichuan_jax.lab.points import Group, PointRow, against_best, table_of
from baichuan_jax.lab.sweep import Point
from baichuan_jax.lab.sweep_plots import Curve, curve_of, plot_of_curves, plots_of_settings
from baichuan_jax.recipe.sweep.plan import SWEEP, Plan
from baichuan_jax.recipe.sweep.results import best_of, command_for, ranked
from baichuan_jax.recipe.sweep.state import States

PAGE = "report.html"
CURVES = 6  # settings whose curves are drawn, the best


def write_page(plan: Plan, rows: list[PointRow]) -> Path:
    """Write report.html and its plots into the directory of a sweep; return where the page is."""
    groups, canvas = ranked(plan, rows), Canvas(plan.directory / "plots")
    sections = [("Best", join(_best(plan, groups), "\n")), ("Settings", join(_settings(plan, groups, canvas), "\n"))]
    if curves := _curves(plan, groups):
        unit = "bits per byte"
        sections.append(("Curves", canvas.figures(plot_of_curves(curves, "Validation during training", unit))))
    sections.append(("Points", join(_points(plan, rows), "\n")))
    text = (plan.directory / SWEEP).read_text(encoding="utf-8")
    sections.append(("Record", details("Settings of the sweep", tag("pre", text))))
    write_text(plan.directory / PAGE, page(plan.directory.resolve().name, _summary(rows), sections))
    return plan.directory / PAGE


def words(settings: Point) -> str:
    """Return settings in words, without the names of their sections."""
    return (
        ", ".join(f"{name.rpartition('.')[2]} {literal(value)}" for name, value in settings.items()) or "as configured"
    )


def _summary(rows: list[PointRow]) -> Html:
    counts = {state: sum(row.state == state for row in rows) for state in ("done", "failed", "running", "waiting")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return escape(f"{len(rows)} points: {told}; {duration(sum(row.seconds for row in rows))} of work.")


def _best(plan: Plan, groups: list[Group]) -> list[Html]:
    best, metric = best_of(groups), plan.cfg.metric
    if best is None:
        return [tag("p", "No setting has all of its points done yet.", class_="note")]
    spread = f" ± {best.deviation:.4f} (standard deviation)" if best.deviation is not None else ""
    seeds = f"{len(best.values)} seeds" if len(best.values) > 1 else "one seed"
    return [
        tag("p", tag("strong", words(best.settings)), f": {metric} {best.mean:.4f}{spread}, mean over {seeds}."),
        tag("p", "The command that makes its first point again:", class_="note"),
        tag("pre", command_for(plan, best.rows[0])),
        tag(
            "p",
            f"Best is what has the {'lowest' if plan.cfg.goal == 'minimize' else 'highest'} mean over all of its seeds "
            f"of {metric}, measured on held-out text. A verdict compares seed by seed with the best; it needs a t "
            "interval and a bootstrap interval of 95 % on one side of 0.",
            class_="note",
        ),
    ]


def _settings(plan: Plan, groups: list[Group], canvas: Canvas) -> list[Html]:
    best, metric, rows = best_of(groups), plan.cfg.metric, []
    for group in groups:
        mean = f"{group.mean:.4f}" if group.values else ""
        deviation = f"{group.deviation:.4f}" if group.deviation is not None else ""
        verdict = "points to come, or failed" if not group.whole else ""
        if best and group.whole:
            verdict = "best" if group is best else against_best(group, best, plan.cfg.goal)
        rows.append([words(group.settings), mean, deviation, f"{len(group.values)} of {len(group.rows)}", verdict])
    head = ["settings", metric, "deviation over seeds", "seeds done", "against the best"]
    plots = plots_of_settings(groups, metric)
    note = "Dots are points. The line goes through the best mean of each value; bars are deviations over its seeds."
    drawn = [canvas.figures(*plots), tag("p", note, class_="note")] if plots else []
    return [table("Settings, from the best", head, rows), *drawn]


def _points(plan: Plan, rows: list[PointRow]) -> list[Html]:
    columns, cells = table_of(rows)
    shown = [place for place, name in enumerate(columns) if name not in ("device", "error")]
    head = [columns[place] for place in shown]
    body = [[_text(row[place]) for place in shown] for row in cells]
    traces = []
    for row in (row for row in rows if row.state == "failed"):
        state = States(plan.directory).read(plan.points[row.number].name)
        traces.append(details(f"Point {row.number} failed: {row.error.splitlines()[0]}", tag("pre", state.trace)))
    return [table("All points", head, body), *traces]


def _text(value: object) -> str:
    return cell(value) if value is None or isinstance(value, str | int | float) else literal(value)


def _curves(plan: Plan, groups: list[Group]) -> dict[str, Curve]:
    """Return the validation of the best settings, {label: curve}."""
    found, states = {}, States(plan.directory)
    for group in [group for group in groups if group.values][:CURVES]:
        seeds = []
        for row in (row for row in group.rows if row.state == "done"):
            point = plan.points[row.number]
            cfg = plan.config_of(point).train
            records = read_metrics(plan.directory / states.read(point.name).trained_in)
            validations = [record for record in records if "validation" in record]
            tokens = [float(record["step"] * cfg.batch * cfg.length) for record in validations]
            seeds.append((tokens, [fmean(record["validation"].values()) for record in validations]))
        if seeds and all(tokens for tokens, _ in seeds):
            found[words(group.settings)] = curve_of(seeds)
    return found
