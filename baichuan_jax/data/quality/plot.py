"""Reliability diagram of a report: whether the scores are calibrated probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from baichuan_jax.core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, RED, GREY = "#0072B2", "#D55E00", "#8c939b"
WIDTH, HEIGHT, DPI = 3.6, 4.6, 150  # inches for each language


def plot(report: dict, path: Path) -> None:
    """Write a PNG for a report of `fit_quality_models`.

    For each language with a model: the share of good windows against the score, and the histogram of each class.
    """
    import matplotlib  # takes a second to import, and the data step draws a single figure
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    entries = {language: entry for language, entry in report.items() if "calibration" in entry}
    columns = max(1, len(entries))
    style = {"font.size": 9, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(WIDTH * columns, HEIGHT))
        FigureCanvasAgg(figure)
        # Margins in inches: finding them ("constrained" layout) takes as long as drawing.
        left, right = 0.7 / (WIDTH * columns), 1 - 0.15 / (WIDTH * columns)
        grid = {"left": left, "right": right, "bottom": 0.1, "top": 0.93, "hspace": 0.12, "wspace": 0.3}
        axes = figure.subplots(2, columns, sharex=True, squeeze=False, height_ratios=(3, 1.4), gridspec_kw=grid)
        for (upper, lower), (language, entry) in zip(axes.T, entries.items()):
            upper.set_title(f"{language}: AUC {entry['auc']:.3f}, at equal length {entry['auc_equal_length']:.3f}")
            _draw_curve(upper, entry["calibration"])
            _draw_histogram(lower, entry["calibration"])
        if not entries:
            axes[0, 0].set_title("no language has a model")
        with atomic_path(path) as partial:
            figure.savefig(partial, format="png", dpi=DPI, facecolor="white")


def _draw_curve(axes: Axes, bins: list[dict[str, float]]) -> None:
    """Draw the share of good windows with two standard errors."""
    score, share, count = (np.array([entry[name] for entry in bins]) for name in ("mean_score", "share_good", "count"))
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="perfectly calibrated")
    axes.errorbar(score, share, 2 * np.sqrt(score * (1 - score) / count), fmt="o-", color=BLUE, markersize=4, capsize=2)
    axes.set(xlim=(0, 1), ylim=(-0.03, 1.03), ylabel="share that is good")
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    axes.grid(color=GREY, alpha=0.25)


def _draw_histogram(axes: Axes, bins: list[dict[str, float]]) -> None:
    """Draw the histogram of the scores of each class."""
    low, high, share, count = (
        np.array([entry[name] for entry in bins]) for name in ("low", "high", "share_good", "count")
    )
    half = 0.45 * (high - low)
    axes.bar(low + 0.05 * (high - low), share * count, half, align="edge", color=BLUE, label="good")
    axes.bar((low + high) / 2, (1 - share) * count, half, align="edge", color=RED, label="bad")
    axes.set(yscale="symlog", xlabel="score", ylabel="windows")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(frameon=False, loc="upper center", ncols=2, fontsize=8)
