"""Tables and plots of zh_en_ratio: the best share with its interval, a power law, ranks by size, answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from scipy.interpolate import PchipInterpolator
from scipy.stats import spearmanr

from baichuan_jax.lab.experiment import Table
from baichuan_jax.lab.plots import COLORS, GREY, Plot
from experiments.variants import paint_bands

LEFT_OUT = (0.25, 0.75)  # shares that the law has to predict
WITHIN = 0.01  # of the loss, as a share
GRID = np.linspace(0.0, 1.0, 201)
RESAMPLES = 1000
# name -> what is to be small, of the losses of zh and en, each as a multiple of its least over all shares.
ALIKE = "0.5 zh + 0.5 en"
UTILITIES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    ALIKE: lambda zh, en: 0.5 * zh + 0.5 * en,
    "0.3 zh + 0.7 en": lambda zh, en: 0.3 * zh + 0.7 * en,
    "the worse of both": np.maximum,
}


class Size(NamedTuple):
    """What decoders of one size reached.

    bits: held out, [languages, shares, seeds]. answers: of each set of questions, [shares, seeds].
    """

    label: str
    parameters: int
    shares: np.ndarray
    bits: np.ndarray
    answers: dict[str, np.ndarray]


def _resampled(count: int) -> list[np.ndarray]:
    """Return places of seeds: all of them, then RESAMPLES bootstrap draws."""
    return [np.arange(count), *np.random.default_rng(0).integers(0, count, (RESAMPLES, count))]


def _with_interval(found: Sequence[float]) -> list[float]:
    """Return the first, and the 95 % interval of the others."""
    return [found[0], *np.quantile(found[1:], [0.025, 0.975]).tolist()]


def recommended_table(size: Size) -> Table:
    """Return, for each utility, the best share between those that were trained, and its interval over seeds."""
    rows = []
    for name, utility in UTILITIES.items():
        found = []
        for seeds in _resampled(size.bits.shape[2]):
            mean = size.bits[:, :, seeds].mean(axis=2)
            curves = [PchipInterpolator(size.shares, losses / losses.min())(GRID) for losses in mean]
            found.append(float(GRID[np.argmin(utility(*curves))]))
        rows.append([name, *_with_interval(found)])
    note = "Losses are multiples of the least of their language. 95 % bootstrap interval over seeds, rough with few."
    return Table("recommended", "Share of Chinese to choose", ["utility", "share of zh", "from", "to"], rows, note)


def answers_tables(size: Size) -> list[Table]:
    """Return the bits per byte of right answers by share, and the share at which each set has least."""
    if not size.answers:
        return []
    names = list(size.answers)
    columns = ["share of zh", *(column for name in names for column in (f"{name} bits/byte", f"sd of {name}"))]
    cells = [
        [float(x) for answers in size.answers.values() for x in (answers[place].mean(), answers[place].std(ddof=1))]
        for place in range(len(size.shares))
    ]
    rows = [[share, *numbers] for share, numbers in zip(size.shares.tolist(), cells)]
    note = f"The right answer after its question, of the dev questions; decoders of {size.label}."
    best = [
        [
            name,
            *_with_interval(
                [float(size.shares[answers[:, s].mean(axis=1).argmin()]) for s in _resampled(answers.shape[1])]
            ),
        ]
        for name, answers in size.answers.items()
    ]
    return [
        Table("answers", "Bits per byte of the right answers", columns, rows, note),
        Table(
            "answers_best",
            "The share with the cheapest right answers",
            ["questions", "share of zh", "from", "to"],
            best,
        ),
    ]


def law_tables(size: Size) -> list[Table]:
    """Return how a power of the own share, fitted without LEFT_OUT, predicts it."""
    rows, missed = [], False
    for name, own, losses in zip(("zh", "en"), (size.shares, 1 - size.shares), size.bits.mean(axis=2)):
        used = own > 0
        fitted = used & ~np.isin(own, LEFT_OUT)
        if fitted.sum() < 2:
            return []
        slope, level = np.polyfit(np.log(own[fitted]), np.log(losses[fitted]), 1)
        for share, loss, inside in zip(own[used], losses[used], fitted[used]):
            predicted = float(np.exp(level + slope * np.log(share)))
            off = float(predicted / loss - 1)
            missed |= not inside and abs(off) > WITHIN
            role = "fitted" if inside else "predicted"
            rows.append([name, float(-slope), float(share), float(1 - share), role, float(loss), predicted, 100 * off])
    columns = ["language", "gamma", "own share", "other share", "role", "bits/byte", "power law", "off, %"]
    verdict = "missed" if missed else "reached"
    note = f"Loss = A * share ** -gamma of the own share alone. Within {WITHIN:.0%} of the left-out shares: {verdict}."
    return [Table("law", "Does a language depend on its own share alone?", columns, rows, note)]


def ranks_table(sizes: Sequence[Size]) -> Table:
    """Return whether the ranks of the shares carry over from the first size to the others."""
    first, rows = sizes[0], []
    for size in sizes[1:]:
        common = np.isin(first.shares, size.shares)
        for name, utility in UTILITIES.items():
            score = lambda bits, seeds, utility=utility: utility(
                *(each / each.min() for each in bits[:, :, seeds].mean(axis=2))
            )
            drawn = _resampled(size.bits.shape[2])
            rank = [float(spearmanr(score(first.bits[:, common], s), score(size.bits, s)).statistic) for s in drawn]
            interval = _with_interval(rank)
            verdict = "carries over" if interval[1] > 0 else "cannot tell" if interval[2] > 0 else "does not carry over"
            rows.append([size.label, name, len(size.shares), *interval, verdict])
    columns = ["size", "utility", "shares", f"Spearman with {first.label}", "from", "to", "verdict"]
    return Table("ranks", "Do the ranks of the shares carry over?", columns, rows)


def bits_plot(size: Size, number: int, languages: Sequence[str]) -> Plot:
    lines = {name: (size.shares, bits.T) for name, bits in zip(languages, size.bits)}
    return Plot(
        f"shares{number or ''}",
        f"What each share leads to, {size.label}",
        "Held-out bits per byte of either language against the share of Chinese; bands are a standard deviation. A "
        "language without text is off the scale; the table has its figure.",
        partial(_paint_bits, lines=lines, top=float(size.bits.mean(axis=2)[_trained(size.shares)].max())),
    )


def _trained(shares: np.ndarray) -> np.ndarray:
    """Return which languages have any text at which shares, [languages, shares]."""
    return np.array([shares, 1 - shares]) > 0


def residual_plot(law: Table) -> Plot:
    return Plot(
        "residuals",
        "Misfit of a power of the own share",
        "How far the power law is off, in per cent, against the share of the other language. " + law.note,
        partial(_paint_residuals, law=law),
    )


def _paint_bits(axes: Axes, lines: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]], top: float) -> None:
    paint_bands(axes, lines, "held-out bits per byte")
    axes.set_ylim(top=1.05 * top)
    axes.set_xlabel("share of Chinese in training")


def _paint_residuals(axes: Axes, law: Table) -> None:
    rows = [dict(zip(law.columns, row)) for row in law.rows]
    for number, language in enumerate(("zh", "en")):
        of = [row for row in rows if row["language"] == language]
        axes.plot(
            [row["other share"] for row in of],
            [row["off, %"] for row in of],
            "-o",
            color=COLORS[number],
            label=language,
        )
        left_out = [row for row in of if row["role"] == "predicted"]
        places = [row["other share"] for row in left_out], [row["off, %"] for row in left_out]
        axes.plot(*places, "o", color=COLORS[number], markersize=9, fillstyle="none", label=f"{language}, predicted")
    axes.axhspan(-100 * WITHIN, 100 * WITHIN, alpha=0.15, color=GREY)
    axes.set_xlabel("share of the other language")
    axes.set_ylabel("off, %")
