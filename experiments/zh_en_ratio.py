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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from baichuan_jax.core.errors import require
from baichuan_jax.core.files import digest
from baichuan_jax.core.settings import setting
from baichuan_jax.data.mixing_weights import weights_by_size
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.sweep import Progress
from baichuan_jax.model.execution import FLOAT32
from baichuan_jax.train.step import make_execution
from experiments import variants
from experiments.answer_bits import Pairs, answer_bits, read_questions
from experiments.share_tables import (
    ALIKE,
    Size,
    answers_tables,
    bits_plot,
    law_tables,
    ranks_table,
    recommended_table,
    residual_plot,
)
from experiments.tokenizer_corpus import existing
from experiments.variants import Training, Trial, TrialConfig, write_mix

QUESTIONS = "../shared/data/eval"  # where they often are; never needed
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
    recommended = recommended_table(first)
    tables = [_by_share(cfg, trial, size, mixes, tokens, number) for number, size in enumerate(sizes)]
    tables[1:1] = [recommended]
    laws = law_tables(first)
    tables += [*laws, *answers_tables(first), *([ranks_table(sizes)] if sizes[1:] else [])]
    plots = [bits_plot(size, number, list(languages)) for number, size in enumerate(sizes)]
    plots += [residual_plot(law) for law in laws]
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
