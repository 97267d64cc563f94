"""Plots in one style, as PNG files and as SVG inside a page.

Sized for a phone: at 360 pixels the text has the size of the page's text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ticker import EngFormatter, MaxNLocator

from baichuan_jax.lab.markup import Html, escape, join

# Okabe and Ito's palette, safe for the colour-blind, without black and yellow, and with orange and sky darker: every
# colour has a contrast of 3 with the page, light or dark.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#BF8300", "#009E73", "#D55E00", "#3C96D2", "#CC79A7"
COLORS, DASHES = (BLUE, ORANGE, GREEN, RED, SKY, PURPLE), ("-", "--", ":")
GREY = "#8c939b"
INK = "#24292f"  # text and axes; in a page it becomes the colour of the text around the plot
WIDTH, WIDE, DPI = 4.2, 8.7, 150  # WIDE: two plots and the gap between them
CHARACTERS = 9  # of a title, to an inch
# Families that have Chinese glyphs, for names of domains; in a page the browser chooses.
CHINESE = ("Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimHei")
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(color=COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.color": GREY,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

Line = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Plot:
    """A plot before it is drawn. name: of its file. alt: description in words.

    height: in inches, without the legend.
    """

    name: str
    title: str
    alt: str
    paint: Callable[[Axes], None]
    height: float = 2.6


def render(plot: Plot, directory: Path, wide: bool = False) -> tuple[Html, Path]:
    """Draw a plot; return it as SVG for a page and the path of the PNG file written.

    wide: the markup holds a second drawing, of class "wide", for pages that have room for it.
    """
    path = directory / f"{plot.name}.png"
    with matplotlib.rc_context(STYLE | {"font.family": _families()}):
        figure = _draw(plot, WIDTH)
        figure.savefig(path, dpi=DPI, facecolor="white")
        drawings = [_svg(figure, plot)]
        if wide:
            drawings.append(_svg(_draw(plot, WIDE), plot, "wide"))
    return join(drawings), path


@cache
def _families() -> list[str]:
    known = set(fontManager.get_font_names())
    return ["sans-serif", *(family for family in CHINESE if family in known)]


def _draw(plot: Plot, width: float) -> Figure:
    figure = Figure(figsize=(width, plot.height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    plot.paint(axes)
    axes.set_title(fill(plot.title, int(width * CHARACTERS)))
    _add_legend(figure, axes)
    return figure


def _svg(figure: Figure, plot: Plot, kind: str = "") -> Html:
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": plot.name + kind}):  # of ids, which differ within a page
        figure.savefig(file, format="svg", transparent=True, metadata=NO_METADATA)
    return _inline(file.getvalue(), plot.alt, kind)


def _add_legend(figure: Figure, axes: Axes) -> None:
    """Add a legend below the plot if there are several series, and increase the height of the figure."""
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 1:
        labels = [_shortened(label) for label in labels]
        rows = -(-len(labels) // int(figure.get_figwidth() / (1.4 if max(map(len, labels)) < 15 else 2.1)))
        columns = -(-len(labels) // rows)
        figure.set_figheight(figure.get_figheight() + 0.19 * rows)
        figure.legend(handles, labels, loc="outside lower left", ncols=columns, fontsize=8, columnspacing=1.2)


def _shortened(name: str) -> str:
    return name if len(name) <= 22 else name[:21] + "…"


def _inline(svg: str, alt: str, kind: str) -> Html:
    """Prepare an SVG document for a page: no prologue, no fixed size, no unused ids."""
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg[svg.index("<svg") :], count=2)
    svg = re.sub(r' id="[a-zA-Z][\w.]*_\d+"', "", svg).replace(INK, "currentColor")
    attributes = f' class="{kind}"' if kind else ""
    return Html(svg.replace("<svg", f'<svg{attributes} role="img" aria-label="{escape(alt)}"', 1))


def bars(
    axes: Axes, names: Sequence[str], series: Mapping[str, Sequence[float]], colors: Sequence[str], unit: str
) -> None:
    """Draw horizontal bars, one group per name with one bar per series."""
    thickness = 0.8 / len(series)
    for number, (color, (label, values)) in enumerate(zip(colors, series.items())):
        place = np.arange(len(names)) + (number - (len(series) - 1) / 2) * thickness
        drawn = axes.barh(place, values, 0.9 * thickness, color=color, label=label)
        axes.bar_label(drawn, fmt="%.2f", padding=3, fontsize=8)
    axes.margins(x=0.12)
    _finish_bars(axes, names, unit)


def stack(
    axes: Axes, names: Sequence[str], series: Mapping[str, Sequence[float]], colors: Sequence[str], unit: str
) -> None:
    """Draw one stacked horizontal bar per name."""
    left = np.zeros(len(names))
    for color, (label, values) in zip(colors, series.items()):
        axes.barh(np.arange(len(names)), values, 0.7, left=left, color=color, label=label)
        left += values
    _finish_bars(axes, names, unit)


def bar_height(names: int, series: int = 1) -> float:
    """Return the height in inches of a plot of bars; bars have equal thickness in all plots."""
    return 0.75 + names * max(0.24, 0.19 * series)


def _finish_bars(axes: Axes, names: Sequence[str], unit: str) -> None:
    axes.set_yticks(np.arange(len(names)), [_shortened(name) for name in names])
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.set_xlabel(unit)


def curves(axes: Axes, lines: Mapping[str, Line], unit: str, tokens_per_step: int, from_zero: bool = False) -> None:
    """Draw lines against steps, with tokens on the top axis."""
    for number, (label, (steps, values)) in enumerate(lines.items()):
        color, dash = COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
        axes.plot(steps, values, dash, color=color, label=label, marker="." if len(steps) < 25 else None)
    if from_zero:
        axes.set_ylim(0, 1.15 * axes.dataLim.y1)
    axes.set_xlabel("step")
    axes.set_ylabel(unit)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=(1, 2, 5, 10)))
    top = axes.secondary_xaxis("top", functions=(lambda step: step * tokens_per_step, lambda n: n / tokens_per_step))
    top.xaxis.set_major_locator(MaxNLocator(5))
    top.xaxis.set_major_formatter(EngFormatter(sep=""))
    top.set_xlabel("tokens", fontsize=8)
    top.tick_params(labelsize=8)


def by_position(axes: Axes, lines: Mapping[str, Line], unit: str) -> None:
    """Draw lines against positions in a text, on a log2 axis."""
    for number, (label, (positions, values)) in enumerate(lines.items()):
        color, dash = COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
        axes.plot(positions, values, dash, color=color, label=label, marker=".")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set_xlabel("position in the window, tokens")
    axes.set_ylabel(unit)
