"""The share of Chinese in training: bits per byte of either language, and what each share is good for.

Command: baichuan-jax experiment zh_en_ratio --set "TrialConfig.seeds=(0, 1)"   Cost: 14 runs of 300 steps with the
defaults, about half a minute each on two idle cores.

The recipe settled the ratio of Chinese to English by rounds of downstream tests. Here decoders are trained on equal
tokens with different shares of Chinese, and the held-out bits per byte of each language are shown side by side, never
as one number. Equal tokens are not equal bytes, so bytes and epochs are shown too. Two papers disagree whether the loss
of a language depends on its own share alone (arXiv 2410.12883: yes, 2510.22037: no): a power of the own share is fitted
to some shares and predicts the others. With two languages the share of one is that of the other from 1, so a misfit can
be either a dependence on the other or another form of the law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from scipy.interpolate import PchipInterpolator
from scipy.stats import spearmanr

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.data.mixing_weights import weights_by_size
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import Plot
from baichuan_jax.lab.sweep import Progress
from experiments import variants
from experiments.variants import Trial, TrialConfig, paint_bands

LEFT_OUT = (0.25, 0.75)  # shares that the law has to predict
WITHIN = 0.01  # of the loss, as a share
GRID = np.linspace(0.0, 1.0, 201)
RESAMPLES = 1000
# name -> what is to be small, of the losses of zh and en, each as a multiple of its least over all shares.
UTILITIES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "0.5 zh + 0.5 en": lambda zh, en: 0.5 * zh + 0.5 * en,
    "0.3 zh + 0.7 en": lambda zh, en: 0.3 * zh + 0.7 * en,
    "the worse of both": np.maximum,
}
DEBUG = (*variants.DEBUG, "TrialConfig.seeds=(0, 1)", "ZhEnRatio.shares=(0.0, 0.1, 0.25, 0.5, 0.75, 1.0)")


@dataclass(frozen=True)
class ZhEnRatio:
    """Which shares are compared, on which text."""

    workdir: str = setting("runs/experiments/zh_en_ratio", "directory of units, tables, plots and report")
    shares: tuple[float, ...] = setting((0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0), "shares of Chinese, rising from 0 to 1")
    chinese: tuple[str, ...] = setting(("zh_news", "zh_reviews"), "domains in Chinese; each by its tokens")
    english: tuple[str, ...] = setting(("en_speeches",), "domains in English; each by its tokens")
    sizes: tuple[tuple[int, int], ...] = setting(
        ((2, 128),), "(blocks, width) of the decoders; with several, the ranks of the shares are compared"
    )
    trial: TrialConfig = field(default_factory=TrialConfig)

    def __post_init__(self) -> None:
        rising = len(self.shares) > 2 and list(self.shares) == sorted(set(self.shares))
        ends_well = rising and self.shares[0] == 0 and self.shares[-1] == 1
        require(ends_well, "ZhEnRatio.shares", self.shares, "three shares or more, rising from 0 to 1")
        require(bool(self.sizes), "ZhEnRatio.sizes", self.sizes, "one size or more")
        require(len(self.trial.seeds) > 1, "TrialConfig.seeds", self.trial.seeds, "two seeds or more")


def run(cfg: ZhEnRatio, directory: Path, progress: Progress) -> Outcome:
    """Train with every share, at every size, on every seed."""
    trial = Trial(cfg.trial, directory, progress)
    languages = {"zh": cfg.chinese, "en": cfg.english}
    known = set(cfg.chinese) | set(cfg.english) <= set(trial.store.domains)
    require(known, "ZhEnRatio.chinese, english", (*cfg.chinese, *cfg.english), f"some of {trial.store.domains}")
    tokens = {name: trial.store.tokens(name, "train") for names in languages.values() for name in names}
    mixes = {f"{share:g}": _mix(share, languages, tokens) for share in cfg.shares}
    bits = {}  # of a size: [languages, shares, seeds]
    for layers, width in cfg.sizes:
        shape = {"layers": layers, "hidden": width, "head_dim": width // cfg.trial.heads}
        named = {f"{layers} x {width}, {share}": mix for share, mix in mixes.items()}
        results = trial.run(list(named), lambda _, common, shape=shape: trial.shape(**shape), mixes=named)
        of = lambda names, results=results: [
            [np.mean([seed["domains"][name] for name in names]) for seed in seeds] for seeds in results.values()
        ]
        bits[f"{layers} x {width}"] = np.array([of(names) for names in languages.values()])
    first, *others = bits
    shares = np.array(cfg.shares)
    recommended = _recommended(shares, bits[first])
    tables = [_by_share(cfg, trial, mixes, tokens, bits[first]), recommended, *_laws(shares, bits[first])]
    tables += [_ranks(bits, first)] if others else []
    lines = {name: (shares, losses.T) for name, losses in zip(languages, bits[first])}
    plot = Plot(
        "shares",
        "Held-out bits per byte against the share of Chinese",
        "Held-out bits per byte of either language against the share of Chinese; bands are a standard deviation.",
        partial(_paint, lines=lines),
    )
    best = {row[0]: f"{row[1]:.2f} ({row[2]:.2f} to {row[3]:.2f})" for row in recommended.rows}
    said = "; ".join(f"{share} for {name}" for name, share in best.items())
    tokenizer = f"Tokenizer: {trial.corpus.tokenizer.vocab:,} ids, trained on the mix {trial.corpus.mix.weights}."
    return Outcome(f"Share of Chinese to choose: {said}.", tables, [plot], [tokenizer])


def _mix(share: float, languages: Mapping[str, Sequence[str]], tokens: Mapping[str, int]) -> dict[str, float]:
    """Return the weights of the domains for a share of Chinese."""
    found = {}
    for (_, names), part in zip(languages.items(), (share, 1 - share)):
        inside = weights_by_size({name: tokens[name] for name in names}, 1.0)
        found |= {name: part * weight for name, weight in inside.items()}
    return found


def _by_share(
    cfg: ZhEnRatio, trial: Trial, mixes: Mapping[str, Mapping[str, float]], tokens: Mapping[str, int], bits: np.ndarray
) -> Table:
    """Return bits per byte, the Pareto front, and what each share reads. bits: [languages, shares, seeds]."""
    mean, spread = bits.mean(axis=2), bits.std(axis=2, ddof=1)
    trained = cfg.trial.steps * cfg.trial.batch * cfg.trial.length
    size = trial.bytes_per_token()
    rows = []
    for number, (share, mix) in enumerate(mixes.items()):
        better = (mean[:, :] <= mean[:, [number]]).all(axis=0) & (mean < mean[:, [number]]).any(axis=0)
        read = [sum(mix[name] * trained * size[name] for name in names) / 1e6 for names in (cfg.chinese, cfg.english)]
        epochs = ", ".join(f"{name} {weight * trained / tokens[name]:.2f}" for name, weight in mix.items())
        numbers = [float(x) for pair in zip(mean[:, number], spread[:, number]) for x in pair]
        rows.append([float(share), *numbers, "" if better.any() else "yes", *read, epochs])
    columns = ["share of zh", "zh bits/byte", "sd", "en bits/byte", "sd ", "Pareto", "zh MB", "en MB", "epochs"]
    note = f"{bits.shape[2]} seeds, {trained:,} tokens each. Pareto: no other share is better in both languages."
    return Table("shares", "What each share leads to", columns, rows, note)


def _recommended(shares: np.ndarray, bits: np.ndarray) -> Table:
    """Return, for each utility, the best share between those that were trained, and its interval over seeds."""
    rng, count = np.random.default_rng(0), bits.shape[2]
    drawn = [np.arange(count), *rng.integers(0, count, (RESAMPLES, count))]
    rows = []
    for name, utility in UTILITIES.items():
        found = []
        for seeds in drawn:
            mean = bits[:, :, seeds].mean(axis=2)
            curves = [PchipInterpolator(shares, losses / losses.min())(GRID) for losses in mean]
            found.append(float(GRID[np.argmin(utility(*curves))]))
        low, high = np.quantile(found[1:], [0.025, 0.975]).tolist()
        rows.append([name, found[0], low, high])
    note = "Losses are multiples of the least of their language. 95 % bootstrap interval over seeds: few are little."
    return Table("recommended", "Share of Chinese to choose", ["utility", "share of zh", "from", "to"], rows, note)


def _laws(shares: np.ndarray, bits: np.ndarray) -> list[Table]:
    """Return how a power of the own share, fitted without LEFT_OUT, predicts it."""
    rows, missed = [], False
    for name, own, losses in zip(("zh", "en"), (shares, 1 - shares), bits.mean(axis=2)):
        used = own > 0
        fitted = used & ~np.isin(own, LEFT_OUT)
        if fitted.sum() < 2:
            return []
        slope, level = np.polyfit(np.log(own[fitted]), np.log(losses[fitted]), 1)
        for share, loss, inside in zip(own[used], losses[used], fitted[used]):
            predicted = float(np.exp(level + slope * np.log(share)))
            off = predicted / loss - 1
            missed |= not inside and abs(off) > WITHIN
            role = "fitted" if inside else "predicted"
            rows.append([name, float(-slope), float(share), float(1 - share), role, float(loss), predicted, 100 * off])
    columns = ["language", "gamma", "own share", "other share", "role", "bits/byte", "power law", "off, %"]
    verdict = "missed" if missed else "reached"
    note = f"Loss = A * share ** -gamma of the own share alone. Within {WITHIN:.0%} of the left-out shares: {verdict}."
    return [Table("law", "Does a language depend on its own share alone?", columns, rows, note)]


def _ranks(bits: Mapping[str, np.ndarray], first: str) -> Table:
    """Return whether the ranks of the shares carry over from one size to others."""
    rng, rows = np.random.default_rng(0), []
    for size, other in ((size, other) for size, other in bits.items() if size != first):
        for name, utility in UTILITIES.items():
            score = lambda losses, seeds, utility=utility: utility(
                *(each / each.min() for each in losses[:, :, seeds].mean(axis=2))
            )
            count = other.shape[2]
            drawn = [np.arange(count), *rng.integers(0, count, (RESAMPLES, count))]
            rank = [float(spearmanr(score(bits[first], seeds), score(other, seeds)).statistic) for seeds in drawn]
            rows.append([size, name, rank[0], *np.quantile(rank[1:], [0.025, 0.975]).tolist()])
    columns = ["size", "utility", f"Spearman with {first}", "from", "to"]
    return Table("ranks", "Do the ranks of the shares carry over?", columns, rows)


def _paint(axes: Axes, lines: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]]) -> None:
    paint_bands(axes, lines, "held-out bits per byte")
    axes.set_xlabel("share of Chinese in training")
