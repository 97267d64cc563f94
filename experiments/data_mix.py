"""Mixes of domains: uniform, natural, by temperature, by DoReMi and by a log-linear model of small runs.

Command: baichuan-jax experiment data_mix --set "TrialConfig.seeds=(0, 1, 2, 3, 4)"   Cost: 43 runs of 300 steps with
the defaults, about half a minute each on two idle cores.

The recipe learned the weights of its categories automatically, and its ratio of Chinese to English by rounds of tests.
Here every method gives weights for the domains of one corpus; then decoders are trained on equal tokens of each mix,
and their held-out bits per byte are compared seed by seed with those of the uniform and of the natural mix. Learned
mixtures often do not beat the uniform one (Aioli, arXiv 2411.05735): "worse" and "cannot tell" are results.
`--set DataMix.corpora=DIR` adds the domains of a folder of NAME.LANGUAGE.jsonl.gz files.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
from matplotlib.axes import Axes
from scipy.stats import spearmanr

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.data.mixing_weights import DoReMi, LogLinearLosses, excess_losses, largest_shares, weights_by_size
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.paired import compare_pairs
from baichuan_jax.lab.plots import COLORS, GREY, Plot
from baichuan_jax.lab.sweep import Point, Progress, run_units
from baichuan_jax.model.decoder import Params, apply
from baichuan_jax.model.execution import Batch
from baichuan_jax.model.loss import token_nll
from baichuan_jax.train.config import MixConfig
from baichuan_jax.train.input import place
from baichuan_jax.train.step import make_execution
from experiments import variants
from experiments.tokenizer_corpus import existing, sources
from experiments.variants import Trial, TrialConfig, write_mix

BASELINES = ("uniform", "natural")
METHODS = (*BASELINES, "temperature", "doremi", "log-linear")
WANTED = 0.9  # Spearman of predicted and measured losses
DEBUG = (*variants.DEBUG, "DataMix.swarm=2", "TrialConfig.seeds=(0, 1)")


@dataclass(frozen=True)
class DataMix:
    """Which mixes are compared."""

    workdir: str = setting("runs/experiments/data_mix", "directory of units, tables, plots and report")
    corpora: str = setting(
        "", "folder of NAME.LANGUAGE.jsonl.gz whose domains are mixed beside the demo's; '' for none"
    )
    methods: tuple[str, ...] = setting(METHODS, "methods; each is compared with 'uniform' and 'natural'")
    exponent: float = setting(0.5, "of 'temperature': weights are tokens ** exponent")
    step_size: float = setting(1.0, "of 'doremi': eta, how fast weights follow the excess losses")
    smoothing: float = setting(1e-3, "of 'doremi': c, the share of the uniform mix in every update")
    swarm: int = setting(4, "of 'log-linear': small runs for each domain")
    max_epochs: float = setting(4.0, "of 'log-linear': how often a domain may be read in the compared runs")
    trial: TrialConfig = field(default_factory=TrialConfig)

    def __post_init__(self) -> None:
        known = set(BASELINES) <= set(self.methods) <= set(METHODS)
        require(known, "DataMix.methods", self.methods, f"'uniform', 'natural' and some of {', '.join(METHODS)}")
        require(self.swarm > 1, "DataMix.swarm", self.swarm, "2 or more")
        require(len(self.trial.seeds) > 1, "TrialConfig.seeds", self.trial.seeds, "two seeds or more")


def run(cfg: DataMix, directory: Path, progress: Progress) -> Outcome:
    """Learn the weights of every method, then train on each mix with every seed."""
    trial = Trial(_with_corpora(cfg, directory), directory, progress)
    mixes, tables, plots = _mixes(cfg, trial, directory, progress)
    results = trial.run(list(mixes), lambda method, shape: shape, mixes=mixes)
    final = {method: np.array([list(seed["domains"].values()) for seed in seeds]) for method, seeds in results.items()}
    means = {method: bits.mean(axis=1) for method, bits in final.items()}
    verdicts = Table(
        "verdicts",
        "Held-out bits per byte, mean over domains, against the baselines",
        ["method", "bits/byte", "against", "difference", "t interval", "bootstrap interval", "verdict"],
        [
            [method, float(bits.mean()), baseline, *_cells(bits - means[baseline])]
            for method, bits in means.items()
            for baseline in BASELINES
            if baseline != method
        ],
        f"{len(cfg.trial.seeds)} seeds in pairs: the same initial parameters. 95 % intervals of the mean difference.",
    )
    plots.insert(0, _verdict_plot(verdicts))
    names = list(trial.store.domains)
    shares = Table(
        "weights",
        "Weights of the domains, and what they lead to",
        ["method", *names, *(f"{name}, bits/byte" for name in names)],
        [[method, *mixes[method].values(), *final[method].mean(axis=0).tolist()] for method in mixes],
    )
    best = min(means, key=lambda method: means[method].mean())
    fragment = write_mix(directory, f"Of the mixes of data_mix, that of the lowest loss: {best}.", mixes[best])
    said = "; ".join(f"against {row[2]}: {row[-1]}" for row in verdicts.rows if row[0] == best)
    summary = f"Lowest: {best}, {means[best].mean():.3f} bits per byte ({said}). Its weights are in {fragment}."
    return Outcome(summary, [verdicts, shares, *tables], plots)


def _with_corpora(cfg: DataMix, directory: Path) -> TrialConfig:
    """Return the settings of the runs, with the domains of `corpora` in their text."""
    folder = existing("DataMix.corpora", cfg.corpora, "")
    if folder is None:
        return cfg.trial
    found = sources(folder)
    settings = (f"DataConfig.sources={found!r}", f"MixConfig.weights={dict.fromkeys(found, 1.0)!r}")
    corpus_settings = (*cfg.trial.corpus_settings, *settings)
    return replace(cfg.trial, corpus_workdir=str(directory / "corpus"), corpus_settings=corpus_settings)


def _cells(differences: np.ndarray) -> list[str | float]:
    mean, t, bootstrap, verdict = compare_pairs(differences)
    return [mean, *(f"{low:+.4f} to {high:+.4f}" for low, high in (t, bootstrap)), verdict]


def _mixes(
    cfg: DataMix, trial: Trial, directory: Path, progress: Progress
) -> tuple[dict[str, dict[str, float]], list[Table], list[Plot]]:
    """Return ({method: weights}, tables, plots) of how the weights were found."""
    tokens = {domain: trial.store.tokens(domain, "train") for domain in trial.store.domains}
    by_size = {"uniform": 0.0, "natural": 1.0, "temperature": cfg.exponent}
    mixes = {name: weights_by_size(tokens, power) for name, power in by_size.items() if name in cfg.methods}
    tables, plots = [], []
    if "doremi" in cfg.methods:
        point = trial.point() | {"step_size": cfg.step_size, "smoothing": cfg.smoothing}
        (found,) = run_units(directory / "units", [point], partial(_doremi, cfg, trial), progress, kind="doremi")
        mixes["doremi"] = dict(zip(tokens, found["weights"]))
        paint = partial(_paint_trajectory, trajectory=found["trajectory"], names=list(tokens))
        plots.append(Plot("doremi", "Weights of DoReMi", "Weights of the domains at each step of the proxy.", paint))
    if "log-linear" in cfg.methods:
        mixes["log-linear"], found = _log_linear(cfg, trial, tokens)
        tables += found
    return mixes, tables, plots


def _doremi(cfg: DataMix, trial: Trial, point: Point, folder: Path) -> dict:
    """Train a reference on the uniform mix, then a proxy under Group DRO; return its averaged weights."""
    names = trial.store.domains
    uniform = MixConfig(weights_by_size(dict.fromkeys(names, 1), 0.0))
    train_cfg, optim_cfg = trial.common(cfg.trial.seeds[0])
    model_cfg, kept = trial.shape(), {}
    trial.train(
        model_cfg, (train_cfg, optim_cfg), folder / "reference", lambda _, params: kept.update(params) or {}, uniform
    )
    exe = make_execution(train_cfg, model_cfg, trial.layout)
    losses = jax.jit(lambda params, batch: token_nll(apply(model_cfg, params, Batch(batch.tokens), exe), batch.targets))
    doremi = DoReMi(len(names), cfg.step_size, cfg.smoothing)

    def weigh(params: Params, rows: Batch) -> Batch:
        batch = place(trial.layout, rows)
        nll, reference = (np.asarray(losses(each, batch)) for each in (params, kept))
        excess = excess_losses(nll, reference, rows.domains, len(names))
        held = np.bincount(rows.domains, minlength=len(names))
        per_token = doremi.update(excess)[rows.domains] / (held[rows.domains] * train_cfg.length)
        return rows._replace(weights=np.broadcast_to(per_token[:, None], rows.tokens.shape).astype(np.float32))

    # An interrupted proxy is trained anew: its checkpoint has no weights of domains.
    shutil.rmtree(folder / "proxy", ignore_errors=True)
    training = replace(train_cfg, seed=train_cfg.seed + 1), optim_cfg
    trial.train(model_cfg, training, folder / "proxy", None, uniform, weigh)
    return {"weights": doremi.average.tolist(), "trajectory": np.array(doremi.trajectory).tolist()}


def _log_linear(cfg: DataMix, trial: Trial, tokens: Mapping[str, int]) -> tuple[dict[str, float], list[Table]]:
    """Fit losses to small runs on random mixes; return the best mix, and how mixes left out were predicted."""
    count = cfg.swarm * len(tokens)
    drawn = np.random.default_rng(0).dirichlet(np.ones(len(tokens)), count)
    mixes = {f"mix {number}": dict(zip(tokens, row.tolist())) for number, row in enumerate(drawn)}
    found = trial.run(list(mixes), lambda _, shape: shape, mixes=mixes, seeds=cfg.trial.seeds[:1])
    losses = np.array([list(found[name][0]["domains"].values()) for name in mixes])
    folds = np.arange(count) % cfg.swarm
    predicted = np.empty(count)
    for fold in range(cfg.swarm):
        kept = folds != fold
        predicted[~kept] = LogLinearLosses(drawn[kept], losses[kept]).predict(drawn[~kept]).mean(axis=1)
    measured = losses.mean(axis=1)
    rank = float(spearmanr(predicted, measured).statistic)
    trained = cfg.trial.steps * cfg.trial.batch * cfg.trial.length
    caps = largest_shares(np.array(list(tokens.values())), trained, cfg.max_epochs)
    best = LogLinearLosses(drawn, losses).best_mix(caps)
    verdict = "reached" if rank >= WANTED else "missed"
    left_out = count // cfg.swarm
    note = f"Each mix is predicted by a fit to the runs without it and {left_out - 1} others."
    fit = Table(
        "fit",
        "How the log-linear model predicts mixes that it was not fitted to",
        ["runs", "Spearman", "wanted", "verdict"],
        [[count, rank, WANTED, verdict]],
        note,
    )
    rows = [[*row.tolist(), float(a), float(b)] for row, a, b in zip(drawn, measured, predicted)]
    swarm = Table("swarm", "Runs on random mixes", [*tokens, "bits/byte", "predicted"], rows, note, "page")
    return dict(zip(tokens, best.tolist())), [fit, swarm]


def _verdict_plot(verdicts: Table) -> Plot:
    """Return the differences from both baselines, with their t intervals."""
    rows = [dict(zip(verdicts.columns, row)) for row in verdicts.rows]
    said = "; ".join(
        f"{row['method']} against {row['against']} {row['difference']:+.3f}: {row['verdict']}" for row in rows
    )
    return Plot(
        "verdicts", "Differences in bits per byte", f"Below 0 is better. {said}.", partial(_paint_verdicts, rows=rows)
    )


def _paint_verdicts(axes: Axes, rows: Sequence[Mapping[str, str]]) -> None:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for number, baseline in enumerate(BASELINES):
        of = [row for row in rows if row["against"] == baseline]
        means = [row["difference"] for row in of]
        reach = [float(row["t interval"].partition(" to ")[2]) - mean for row, mean in zip(of, means)]
        places = [methods.index(row["method"]) + 0.2 * (number - 0.5) for row in of]
        axes.errorbar(places, means, reach, fmt="o", capsize=3, color=COLORS[number], label=f"against {baseline}")
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.set_xticks(range(len(methods)), methods)
    axes.set_ylabel("bits per byte")


def _paint_trajectory(axes: Axes, trajectory: Sequence[Sequence[float]], names: Sequence[str]) -> None:
    for name, weights in zip(names, np.transpose(trajectory)):
        axes.plot(np.arange(1, len(weights) + 1), weights, label=name)
    axes.set_xlabel("step of the proxy")
    axes.set_ylabel("weight")
