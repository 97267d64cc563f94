"""Plots of a sweep: the metric against each setting, with seeds as spread, and validation as training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, NullFormatter

from baichuan_jax.lab.plots import BLUE, COLORS, DASHES, GREY, Plot
from baichuan_jax.lab.points import Group

WIDE = 5.0  # the largest value over the smallest from which an axis is logarithmic


class Curve(NamedTuple):
    """A figure as training went on. low, high: over seeds."""

    tokens: Sequence[float]
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def curve_of(seeds: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Curve:
    """Return the mean over seeds, each (tokens, values), as far as all of them have come."""
    length = min(len(tokens) for tokens, _ in seeds)
    values = np.array([values[:length] for _, values in seeds])
    return Curve(seeds[0][0][:length], values.mean(0).tolist(), values.min(0).tolist(), values.max(0).tolist())


def plots_of_settings(groups: Sequence[Group], metric: str) -> list[Plot]:
    """Return a plot for each setting that has several values: a dot for each point, a line through the best means."""
    groups = [group for group in groups if group.values]
    names = dict.fromkeys(name for group in groups for name in group.settings)
    found = []
    for name in names:
        values = list(dict.fromkeys(repr(group.settings[name]) for group in groups))
        if len(values) > 1:
            best = {value: [group.mean for group in groups if repr(group.settings[name]) == value] for value in values}
            said = ", ".join(f"{value}: {means[0]:.4f}" for value, means in best.items())
            alt = f"{metric} against {name}; the best mean over seeds of each value is {said}."
            paint = partial(_paint, groups=groups, name=name, metric=metric)
            found.append(Plot(f"setting_{len(found)}", name, alt, paint))
    return found


def _paint(axes: Axes, groups: Sequence[Group], name: str, metric: str) -> None:
    values = list({repr(group.settings[name]): group.settings[name] for group in groups}.values())
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    values = sorted(values) if numbers else values
    places = [float(value) for value in values] if numbers else [float(place) for place in range(len(values))]
    place_of = {repr(value): place for value, place in zip(values, places)}
    best: dict[str, Group] = {}
    for group in groups:  # from the best
        value = repr(group.settings[name])
        axes.plot([place_of[value]] * len(group.values), group.values, "o", color=GREY, alpha=0.7, markersize=3.5)
        best.setdefault(value, group)
    line = [best[repr(value)] for value in values]
    spread = [group.deviation or 0.0 for group in line]
    axes.errorbar(places, [group.mean for group in line], spread, color=BLUE, marker="o", markersize=4, capsize=3)
    if numbers and min(places) > 0 and max(places) / min(places) >= WIDE:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    shown = [f"{value:g}" if numbers else str(value) for value in values]
    if len(values) <= 8:
        axes.set_xticks(places, shown, rotation=0 if max(map(len, shown)) < 7 else 30)
    axes.set_ylabel(metric)


def plot_of_curves(
    curves: Mapping[str, Curve], title: str, unit: str, name: str = "curves", against: str = "tokens of training"
) -> Plot:
    """Return curves against tokens, with bands from the lowest to the highest seed."""
    said = ", ".join(f"{label} {curve.values[-1]:.4f}" for label, curve in curves.items())
    alt = f"{title} against {against}; at the end {said}."
    return Plot(name, title, alt, partial(_paint_curves, curves=curves, unit=unit, against=against))


def _paint_curves(axes: Axes, curves: Mapping[str, Curve], unit: str, against: str) -> None:
    for number, (label, curve) in enumerate(curves.items()):
        color, dash = COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
        marker: Any = "." if len(curve.tokens) < 25 else None
        axes.plot(curve.tokens, curve.values, dash, color=color, label=label, marker=marker)
        if list(curve.low) != list(curve.high):
            axes.fill_between(curve.tokens, curve.low, curve.high, color=color, alpha=0.15, linewidth=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel(against)
    axes.set_ylabel(unit)
