"""The share of Chinese in training: bits per byte of either language, and what each share is good for.

Command: baichuan-jax experiment zh_en_ratio --set "TrialConfig.seeds=(0, 1)"   Cost: 14 runs of 300 steps with the
defaults, about a minute each on two idle cores. With
--set "ZhEnRatio.sizes=((3, 192), (5, 320))" --set "ZhEnRatio.larger=((6, 512),)" 22 runs more, of two to seven minutes.

The recipe settled the ratio of Chinese to English by rounds of downstream tests. Here decoders are trained on equal
tokens with different shares of Chinese, and the held-out bits per byte of each language are shown side by side, never
as one number; where the files of C-Eval and MMLU are given, so are the bits per byte of their right answers. Equal
tokens are not equal bytes, so bytes and epochs are shown too. Two papers disagree whether the loss of a language
depends on its own share alone (arXiv 2410.12883: yes, 2510.22037: no): a power of the own share is fitted to some
shares and predicts the others. With two languages the share of one is that of the other from 1, so a misfit can be
either a dependence on the other or another form of the law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from scipy.interpolate import PchipInterpolator
from scipy.stats import spearmanr

from baichuan_jax.core.errors import require
from baichuan_jax.core.files import digest
from baichuan_jax.core.settings import setting
from baichuan_jax.data.mixing_weights import weights_by_size
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import COLORS, GREY, Plot
from baichuan_jax.lab.sweep import Progress
from baichuan_jax.model.execution import FLOAT32
from baichuan_jax.train.step import make_execution
from experiments import variants
from experiments.answer_bits import Pairs, answer_bits, read_questions
from experiments.tokenizer_corpus import existing
from experiments.variants import Training, Trial, TrialConfig, paint_bands, write_mix

QUESTIONS = "../shared/data/eval"  # where they often are; never needed
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
DEBUG = (
    *variants.DEBUG,
    "TrialConfig.seeds=(0, 1)",
    "ZhEnRatio.shares=(0.0, 0.1, 0.25, 0.5, 0.75, 1.0)",
    "ZhEnRatio.sizes=((1, 32),)",
    "ZhEnRatio.larger=((2, 32),)",
    "ZhEnRatio.larger_shares=(0.25, 0.5)",
    "ZhEnRatio.questions=''",
)


@dataclass(frozen=True)
class ZhEnRatio:
    """Which shares are compared, on which text."""

    workdir: str = setting("runs/experiments/zh_en_ratio", "directory of units, tables, plots and report")
    shares: tuple[float, ...] = setting((0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0), "shares of Chinese, rising from 0 to 1")
    chinese: tuple[str, ...] = setting(("zh_news", "zh_reviews"), "domains in Chinese; each by its tokens")
    english: tuple[str, ...] = setting(("en_speeches",), "domains in English; each by its tokens")
    sizes: tuple[tuple[int, int], ...] = setting(
        ((3, 192),),
        "(blocks, width) of decoders that are trained with every share; the others are compared with the first",
    )
    larger: tuple[tuple[int, int], ...] = setting((), "(blocks, width) of decoders trained with `larger_shares` only")
    larger_shares: tuple[float, ...] = setting((0.1, 0.25, 0.5, 0.75), "some of `shares`")
    questions: str = setting(QUESTIONS, "folder with ceval.zip and mmlu.zip; '' for none")
    trial: TrialConfig = field(default_factory=TrialConfig)

    def __post_init__(self) -> None:
        rising = len(self.shares) > 2 and list(self.shares) == sorted(set(self.shares))
        ends_well = rising and self.shares[0] == 0 and self.shares[-1] == 1
        require(ends_well, "ZhEnRatio.shares", self.shares, "three shares or more, rising from 0 to 1")
        require(bool(self.sizes), "ZhEnRatio.sizes", self.sizes, "one size or more")
        some = len(self.larger_shares) > 1 and list(self.larger_shares) == sorted(set(self.larger_shares))
        known = some and set(self.larger_shares) <= set(self.shares)
        require(known, "ZhEnRatio.larger_shares", self.larger_shares, f"two or more of {self.shares}, rising")
        require(len(self.trial.seeds) > 1, "TrialConfig.seeds", self.trial.seeds, "two seeds or more")


class Size(NamedTuple):
    """What decoders of one size reached.

    bits: held out, [languages, shares, seeds]. answers: of each set of questions, [shares, seeds].
    """

    label: str
    parameters: int
    shares: np.ndarray
    bits: np.ndarray
    answers: dict[str, np.ndarray]


def run(cfg: ZhEnRatio, directory: Path, progress: Progress) -> Outcome:
    """Train with every share, at every size, on every seed."""
    folder = existing("ZhEnRatio.questions", cfg.questions, QUESTIONS)
    questions = read_questions(folder) if folder else {}
    trial = Trial(cfg.trial, directory, progress, {"questions": digest(repr(questions))} if questions else {})
    languages = {"zh": cfg.chinese, "en": cfg.english}
    known = set(cfg.chinese) | set(cfg.english) <= set(trial.store.domains)
    require(known, "ZhEnRatio.chinese, english", (*cfg.chinese, *cfg.english), f"some of {trial.store.domains}")
    tokens = {name: trial.store.tokens(name, "train") for names in languages.values() for name in names}
    mixes = {share: _mix(share, languages, tokens) for share in cfg.shares}
    sizes = [
        _train(trial, (layers, width), {share: mixes[share] for share in shares}, languages, questions)
        for chosen, shares in ((cfg.sizes, cfg.shares), (cfg.larger, cfg.larger_shares))
        for layers, width in chosen
    ]
    first = sizes[0]
    recommended = _recommended(first)
    tables = [_by_share(cfg, trial, size, mixes, tokens, number) for number, size in enumerate(sizes)]
    tables[1:1] = [recommended]
    laws = _laws(first)
    tables += [*laws, *_answers(first), *([_ranks(sizes)] if sizes[1:] else [])]
    plots = [_bits_plot(size, number, list(languages)) for number, size in enumerate(sizes)]
    plots += [_residual_plot(law) for law in laws]
    best = {row[0]: f"{row[1]:.2f} ({row[2]:.2f} to {row[3]:.2f})" for row in recommended.rows}
    said = "; ".join(f"{share} for {name}" for name, share in best.items())
    alike = _mix(float(recommended.rows[0][1]), languages, tokens)
    fragment = write_mix(directory, f"The share of Chinese that zh_en_ratio found: {best[ALIKE]}.", alike)
    tokenizer = f"Tokenizer: {trial.corpus.tokenizer.vocab:,} ids, trained on the mix {trial.corpus.mix.weights}."
    summary = f"Share of Chinese to choose: {said}. That of the first is in {fragment}."
    return Outcome(summary, tables, plots, [tokenizer])


def _train(
    trial: Trial,
    size: tuple[int, int],
    mixes: Mapping[float, Mapping[str, float]],
    languages: Mapping[str, Sequence[str]],
    questions: dict[str, Pairs],
) -> Size:
    """Train decoders of one size on each mix. Their rate is in inverse proportion to their width."""
    layers, width = size
    base = trial.cfg
    shape = trial.shape(layers=layers, hidden=width, head_dim=width // base.heads)

    def training(_: str, common: Training) -> Training:
        return common[0], replace(common[1], peak_lr=base.peak_lr * base.hidden / width)

    exe = replace(make_execution(trial.common(0)[0], shape, trial.layout), dtype=FLOAT32)
    measure = answer_bits(questions, trial.tokenizer, exe) if questions else None
    named = {f"{layers} x {width}, {share:g}": mix for share, mix in mixes.items()}
    results = list(trial.run(list(named), lambda *_: shape, measure, training, mixes=named).values())
    of = lambda names: [[np.mean([seed["domains"][name] for name in names]) for seed in seeds] for seeds in results]
    bits = np.array([of(names) for names in languages.values()])
    answers = {name: np.array([[seed["answers"][name] for seed in seeds] for seeds in results]) for name in questions}
    return Size(f"{layers} x {width}", results[0][0]["parameters"], np.array(list(mixes)), bits, answers)


def _mix(share: float, languages: Mapping[str, Sequence[str]], tokens: Mapping[str, int]) -> dict[str, float]:
    """Return the weights of the domains for a share of Chinese."""
    found = {}
    for (_, names), part in zip(languages.items(), (share, 1 - share)):
        inside = weights_by_size({name: tokens[name] for name in names}, 1.0)
        found |= {name: part * weight for name, weight in inside.items()}
    return found


def _by_share(
    cfg: ZhEnRatio,
    trial: Trial,
    size: Size,
    mixes: Mapping[float, Mapping[str, float]],
    tokens: Mapping[str, int],
    number: int,
) -> Table:
    """Return bits per byte, the Pareto front, and what each share reads. number: of the size."""
    mean, spread = size.bits.mean(axis=2), size.bits.std(axis=2, ddof=1)
    trained = cfg.trial.steps * cfg.trial.batch * cfg.trial.length
    per_token = trial.bytes_per_token()
    rows = []
    for place, share in enumerate(size.shares.tolist()):
        mix, own = mixes[share], mean[:, [place]]
        better = (mean <= own).all(axis=0) & (mean < own).any(axis=0)
        read = [
            sum(mix[name] * trained * per_token[name] for name in names) / 1e6 for names in (cfg.chinese, cfg.english)
        ]
        epochs = ", ".join(f"{name} {weight * trained / tokens[name]:.2f}" for name, weight in mix.items())
        numbers = [float(x) for pair in zip(own[:, 0], spread[:, place]) for x in pair]
        rows.append([share, *numbers, "" if better.any() else "yes", *read, epochs])
    columns = ["share of zh", "zh bits/byte", "sd", "en bits/byte", "sd ", "Pareto", "zh MB", "en MB", "epochs"]
    note = f"{size.bits.shape[2]} seeds, {trained:,} tokens each. Pareto: no other share is better in both languages."
    title = f"What each share leads to: {size.label}, {size.parameters / 1e6:.1f} million parameters"
    return Table(f"shares{number or ''}", title, columns, rows, note)


def _resampled(count: int) -> list[np.ndarray]:
    """Return places of seeds: all of them, then RESAMPLES bootstrap draws."""
    return [np.arange(count), *np.random.default_rng(0).integers(0, count, (RESAMPLES, count))]


def _with_interval(found: Sequence[float]) -> list[float]:
    """Return the first, and the 95 % interval of the others."""
    return [found[0], *np.quantile(found[1:], [0.025, 0.975]).tolist()]


def _recommended(size: Size) -> Table:
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


def _answers(size: Size) -> list[Table]:
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


def _laws(size: Size) -> list[Table]:
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


def _ranks(sizes: Sequence[Size]) -> Table:
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


def _bits_plot(size: Size, number: int, languages: Sequence[str]) -> Plot:
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


def _residual_plot(law: Table) -> Plot:
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
