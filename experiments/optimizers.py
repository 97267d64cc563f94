"""AdamW beside Muon, QK-norm, squared ReLU and WSD, each alone and the better ones together: tokens and seconds.

Command: baichuan-jax experiment optimizers --set "TrialConfig.seeds=(0, 1, 2, 3, 4)" --set TrialConfig.steps=150
Cost: 16 runs that tune and up to 60 that are compared, of half a minute to a minute and a half: an hour and a half on
two idle cores.

First the rate, the weight decay and the betas of AdamW and of Muon are tuned, one after another and as often for
either, at the first size, on a seed of their own. Then every method trains at every size on the same seeds and text.
QK-norm, squared ReLU and WSD change one thing of the tuned AdamW. Methods that are better than it at the first size are
also tried together, at all sizes. The rate of another size is in inverse proportion to its width. What is counted
against a method: a step that takes longer, measured in turn, step by step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.paired import compare_pairs
from baichuan_jax.lab.plots import Plot
from baichuan_jax.lab.sweep import Progress, run_units
from baichuan_jax.model.config import AttentionConfig, DecoderConfig
from baichuan_jax.model.decoder import param_axes
from baichuan_jax.train.config import OptimConfig, TrainConfig
from baichuan_jax.train.input import Batches, place
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import make_execution, make_step
from experiments import variants
from experiments.variants import Trial, TrialConfig, paint_curves, spread

BASELINE, TOGETHER = "AdamW", "together"
RECIPES = {"AdamW": "adamw", "Muon": "muon"}  # name -> OptimConfig.optimizer, which is tuned
TUNED = ("peak_lr", "weight_decay", "b1", "b2")
DEBUG = (
    *variants.DEBUG,
    "TrialConfig.seeds=(0, 1)",
    "Optimizers.rates=(1e-3, 4e-3)",
    "Optimizers.decays=(0.1,)",
    "Optimizers.betas=((0.9, 0.95),)",
    "Optimizers.sizes=((1, 32), (2, 32))",
    "Optimizers.timed=2",
)


class Change(NamedTuple):
    """What a method changes of the tuned AdamW; `together` makes several of these changes at once."""

    optimizer: str = "adamw"
    schedule: str = "cosine"
    qk_norm: bool = False
    feed_forward: str = "swiglu"


METHODS = {
    "AdamW": Change(),
    "Muon": Change(optimizer="muon"),
    "QK-norm": Change(qk_norm=True),
    "squared ReLU": Change(feed_forward="relu2"),
    "WSD": Change(schedule="wsd"),
}


@dataclass(frozen=True)
class Optimizers:
    """What is tuned, and the sizes at which methods are compared."""

    workdir: str = setting("runs/experiments/optimizers", "directory of units, tables, plots and report")
    rates: tuple[float, ...] = setting((1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2), "peak rates tried, at the first size")
    decays: tuple[float, ...] = setting((0.0, 0.1, 0.3), "weight decays tried; the first try has the recipe's, 0.1")
    betas: tuple[tuple[float, float], ...] = setting(
        ((0.9, 0.95), (0.9, 0.99)), "(b1, b2) tried; Muon's parameters that are no matrices have them, too"
    )
    tuning_seed: int = setting(100, "seed of all runs that tune, none of TrialConfig.seeds")
    sizes: tuple[tuple[int, int], ...] = setting(((3, 192), (5, 320)), "(blocks, width) of the decoders")
    timed: int = setting(20, "steps of each method that are timed, in turn")
    trial: TrialConfig = field(default_factory=TrialConfig)

    def __post_init__(self) -> None:
        for name in ("rates", "decays", "betas", "sizes"):
            require(bool(getattr(self, name)), f"Optimizers.{name}", getattr(self, name), "one or more")
        require(len(self.trial.seeds) > 1, "TrialConfig.seeds", self.trial.seeds, "two seeds or more")
        apart = self.tuning_seed not in self.trial.seeds
        require(apart, "Optimizers.tuning_seed", self.tuning_seed, f"none of TrialConfig.seeds = {self.trial.seeds}")
        require(self.timed > 0, "Optimizers.timed", self.timed, "1 or more")


def run(cfg: Optimizers, directory: Path, progress: Progress) -> Outcome:
    """Tune both optimizers, compare every method at every size, and time their steps."""
    trial = Trial(cfg.trial, directory, progress)
    tried = {name: _tune(cfg, trial, name) for name in RECIPES}
    tuned = {RECIPES[name]: min(tries, key=lambda each: each[1])[0] for name, tries in tried.items()}
    tables, plots, said = [_tuning_table(tried)], [], []
    methods = dict(METHODS)
    for number, (layers, width) in enumerate(cfg.sizes):
        size = Size(trial, layers, width, cfg.sizes[0][1] / width, tuned)
        results = size.train(methods)
        if number == 0 and len(better := _better(results)) > 1:
            methods[TOGETHER] = _all_of(better)
            results |= size.train({TOGETHER: methods[TOGETHER]})
        point = trial.point() | {"timed": cfg.timed} | {name: repr(size.settings(methods[name])) for name in methods}
        time_them = lambda _, __, size=size: size.time(methods, cfg.timed)
        seconds = run_units(directory / "units", [point], time_them, progress, kind="time")[0]
        label = f"{results[BASELINE][0]['parameters'] / 1e6:.1f}M"
        tables.append(_table(f"final_{number}", label, results, seconds))
        curves = Plot(
            f"tokens_{number}",
            f"Held-out loss, {label} parameters",
            f"Held-out bits per byte of every method against tokens, {label} parameters.",
            partial(paint_curves, results=results, against="tokens"),
        )
        plots.append(curves)
        found = [f"{row[0]} {row[5]}" for row in tables[-1].rows[1:]]
        said.append(f"At {label}, against {BASELINE}: {', '.join(found)}.")
    parts = [name for name in METHODS if TOGETHER in methods and _has(methods[TOGETHER], METHODS[name])]
    of = f"Together: {', '.join(parts)}." if parts else f"Fewer than two methods were better than {BASELINE}."
    return Outcome(" ".join(said), tables, plots, [of])


class Size(NamedTuple):
    """Decoders of one size. scale: of the tuned rates. tuned: by OptimConfig.optimizer."""

    trial: Trial
    layers: int
    width: int
    scale: float
    tuned: Mapping[str, OptimConfig]

    def settings(self, change: Change) -> tuple[DecoderConfig, OptimConfig]:
        """Return decoder and optimizer of a method."""
        best = self.tuned[change.optimizer]
        optim = replace(best, peak_lr=self.scale * best.peak_lr, schedule=change.schedule)
        return _decoder(self.trial, self.layers, self.width, change), optim

    def train(self, methods: Mapping[str, Change]) -> dict[str, list[dict]]:
        """Return the results of every method, by seed."""
        settings = {name: self.settings(change) for name, change in methods.items()}
        # The variant's name stands in the unit's: it tells everything that the method changes.
        variants = {f"{self.layers} x {self.width}, {name}, {_label(settings[name][1])}": name for name in methods}
        found = self.trial.run(
            list(variants),
            lambda variant, _: settings[variants[variant]][0],
            training=lambda variant, common: (_often(common[0]), settings[variants[variant]][1]),
        )
        return {variants[variant]: results for variant, results in found.items()}

    def time(self, methods: Mapping[str, Change], count: int) -> dict[str, float]:
        """Return the median seconds of a step of every method, timed in turn on the same batches."""
        steps = {name: _stepper(self.trial, *self.settings(change)) for name, change in methods.items()}
        times: dict[str, list[float]] = {name: [] for name in steps}
        for number in range(count + 2):
            for name, step in steps.items():
                elapsed = step(number)
                if number >= 2:  # the first two compile and warm up
                    times[name].append(elapsed)
        return {name: float(np.median(each)) for name, each in times.items()}


def _tune(cfg: Optimizers, trial: Trial, name: str) -> list[tuple[OptimConfig, float]]:
    """Return every setting that was tried with its held-out bits per byte: the rate first, then decay, then betas."""
    decoder = _decoder(trial, *cfg.sizes[0], METHODS[BASELINE])
    best = replace(trial.common(cfg.tuning_seed)[1], optimizer=RECIPES[name])
    tried: dict[OptimConfig, float] = {}
    for changes in (
        [{"peak_lr": rate} for rate in cfg.rates],
        [{"weight_decay": decay} for decay in cfg.decays],
        [{"b1": b1, "b2": b2} for b1, b2 in cfg.betas],
    ):
        options = (replace(best, **change) for change in changes)
        new = {f"{name}, {_label(each)}": each for each in options if each not in tried}
        results = trial.run(
            list(new),
            lambda *_: decoder,
            training=lambda variant, common, new=new: (_often(common[0]), new[variant]),
            seeds=(cfg.tuning_seed,),
        )
        tried |= {new[variant]: seeds[0]["bits"][-1] for variant, seeds in results.items()}
        best = min(tried, key=lambda each: tried[each])
    return list(tried.items())


def _label(optim: OptimConfig) -> str:
    return ", ".join(f"{getattr(optim, name):g}" for name in TUNED)


def _often(train_cfg: TrainConfig) -> TrainConfig:
    """Have the held-out loss measured a dozen times: tokens to a loss are read off its curve."""
    return replace(train_cfg, eval_every=max(1, train_cfg.steps // 12))


def _decoder(trial: Trial, layers: int, width: int, change: Change) -> DecoderConfig:
    attention = AttentionConfig(qk_norm=change.qk_norm)
    sizes = {"layers": layers, "hidden": width, "head_dim": width // trial.cfg.heads}
    return trial.shape(**sizes, attention=attention, feed_forward=change.feed_forward)


def _better(results: Mapping[str, list[dict]]) -> list[Change]:
    """Return the methods that are better than AdamW."""
    base = _final(results[BASELINE])
    return [METHODS[name] for name in METHODS if compare_pairs(_final(results[name]) - base).verdict == "better"]


def _all_of(changes: Sequence[Change]) -> Change:
    """Return all changes at once."""
    return Change(**{k: v for each in changes for k, v in each._asdict().items() if v != Change._field_defaults[k]})


def _has(combined: Change, change: Change) -> bool:
    return change != Change() and _all_of([combined, change]) == combined


def _final(seeds: Sequence[dict]) -> np.ndarray:
    return np.array([seed["bits"][-1] for seed in seeds])


def _stepper(trial: Trial, model: DecoderConfig, optim: OptimConfig) -> Callable[[int], float]:
    """Return a function that makes a step on the batch of a number and returns its seconds."""
    train_cfg = trial.common(0)[0]
    optimizer = make_optimizer(optim, train_cfg.steps, param_axes(model))
    sharded = ShardedState(model, optimizer, trial.layout)
    state = sharded.init(0)
    step = make_step(train_cfg, model, optimizer, sharded, make_execution(train_cfg, model, trial.layout))
    batches = Batches(train_cfg, trial.corpus.mix, trial.store)

    def run(number: int) -> float:
        nonlocal state
        batch = place(trial.layout, batches[number])
        start = time.perf_counter()
        state, _ = step(state, batch)
        jax.block_until_ready(state)
        return time.perf_counter() - start

    return run


def _tuning_table(tried: Mapping[str, Sequence[tuple[OptimConfig, float]]]) -> Table:
    rows = [
        [name, *(getattr(each, key) for key in TUNED), bits, "best" if bits == min(b for _, b in tries) else ""]
        for name, tries in tried.items()
        for each, bits in tries
    ]
    note = "One seed. A best rate at an end of those tried would be better still beyond it."
    return Table("tuning", "Settings tried", ["optimizer", *TUNED, "bits/byte", ""], rows, note, shown="page")


def _table(name: str, label: str, results: Mapping[str, list[dict]], seconds: Mapping[str, float]) -> Table:
    """Return the methods of a size beside AdamW."""
    base, rows = _final(results[BASELINE]), []
    for method, seeds in results.items():
        final = _final(seeds)
        found = compare_pairs(final - base)
        interval = f"{found.t[0]:+.4f} to {found.t[1]:+.4f}"
        share, ratio = _tokens_to(results[BASELINE], seeds), seconds[method] / seconds[BASELINE]
        told = ["", "", 1.0, 1.0, 1.0] if method == BASELINE else [interval, found.verdict, share, ratio, None]
        told[4] = share * ratio if share is not None else None
        rows.append([method, float(final.mean()), spread(final), float(found.mean), *told])
    columns = ["method", "bits/byte", "sd", f"against {BASELINE}", "t interval", "verdict", "tokens", "step", "seconds"]
    note = (
        f"{len(base)} seeds in pairs; 95 % intervals. tokens: to the last bits per byte of {BASELINE}, as a share of "
        "its own; empty where they are not reached. step: seconds of one, as a multiple. seconds: their product."
    )
    return Table(name, f"Methods beside {BASELINE}, {label} parameters", columns, rows, note)


def _tokens_to(base: Sequence[dict], seeds: Sequence[dict]) -> float | None:
    """Return the share of the tokens after which the mean curve is as low as the baseline's last value, if it is."""
    target, tokens = _final(base).mean(), np.array(seeds[0]["tokens"])
    curve = np.mean([seed["bits"] for seed in seeds], axis=0)
    reached = np.flatnonzero(curve <= target)
    if not reached.size:
        return None
    after = int(reached[0])
    if after == 0:
        return float(tokens[0] / tokens[-1])
    part = (curve[after - 1] - target) / (curve[after - 1] - curve[after])
    return float((tokens[after - 1] + part * (tokens[after] - tokens[after - 1])) / tokens[-1])
