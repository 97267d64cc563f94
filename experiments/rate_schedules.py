"""WSD beside the cosine: does one stable run with short decays reach what a cosine of each horizon reaches?

Command: baichuan-jax experiment rate_schedules   Cost: 24 runs of 75 to 600 steps with the defaults, about 20 minutes
on two idle cores.

A cosine has to know its last step. WSD (arXiv 2404.06395, with the decay of 2405.18392) stays at the peak, and a decay
can be branched from any checkpoint of it; such a branch equals the WSD run of that horizon bit for bit, so here each
horizon is trained from scratch. For one seed both schedules start from the same parameters and read the same text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.paired import compare_pairs
from baichuan_jax.lab.plots import Plot
from baichuan_jax.lab.sweep import Progress
from experiments import variants
from experiments.variants import Training, Trial, TrialConfig, paint_bands

SCHEDULES = ("cosine", "wsd")
WITHIN = 0.01  # of the cosine's bits per byte, as a share
DEBUG = (*variants.DEBUG, "TrialConfig.seeds=(0, 1)", "RateSchedules.horizons=(4, 6)", "RateSchedules.warmup=1")


@dataclass(frozen=True)
class RateSchedules:
    """The horizons, and what all runs share."""

    workdir: str = setting("runs/experiments/rate_schedules", "directory of units, tables, plots and report")
    horizons: tuple[int, ...] = setting((75, 150, 300, 600), "steps of the runs, rising")
    warmup: int = setting(15, "steps of the warm-up of every run, so that all WSD runs have one trunk")
    decay_share: float = setting(0.2, "share of the steps in which the rate of WSD falls")
    trial: TrialConfig = field(default_factory=TrialConfig)

    def __post_init__(self) -> None:
        rising = bool(self.horizons) and list(self.horizons) == sorted(set(self.horizons))
        require(rising, "RateSchedules.horizons", self.horizons, "one number of steps or more, rising")
        stable = round((1 - self.decay_share) * self.horizons[0])
        require(0 <= self.warmup <= stable, "RateSchedules.warmup", self.warmup, f"from 0 to {stable}")
        require(len(self.trial.seeds) > 1, "TrialConfig.seeds", self.trial.seeds, "two seeds or more")


def run(cfg: RateSchedules, directory: Path, progress: Progress) -> Outcome:
    """Train with both schedules to every horizon on every seed."""
    trial = Trial(cfg.trial, directory, progress, {"warmup": cfg.warmup, "decay_share": cfg.decay_share})
    named = {f"{schedule} {steps}": (schedule, steps) for steps in cfg.horizons for schedule in SCHEDULES}

    def training(name: str, common: Training) -> Training:
        (schedule, steps), (train_cfg, optim_cfg) = named[name], common
        train_cfg = replace(train_cfg, steps=steps, eval_every=steps, checkpoint_every=steps)
        falling = {"schedule": schedule, "warmup_steps": cfg.warmup, "decay_share": cfg.decay_share}
        return train_cfg, replace(optim_cfg, **falling)

    results = trial.run(list(named), lambda _, shape: shape, training=training)
    bits = {
        schedule: np.array([[seed["bits"][-1] for seed in results[f"{schedule} {steps}"]] for steps in cfg.horizons])
        for schedule in SCHEDULES
    }
    table = _table(cfg, bits)
    tokens = [steps * cfg.trial.batch * cfg.trial.length for steps in cfg.horizons]
    plot = Plot(
        "horizons",
        "Held-out bits per byte against the tokens of the whole run",
        "Held-out bits per byte at the end of runs of each length, by schedule; bands are a standard deviation.",
        partial(_paint, lines={schedule: (tokens, losses.T) for schedule, losses in bits.items()}),
    )
    worst = max(table.rows, key=lambda row: abs(row[5]))
    said = f"Farthest apart at {worst[0]:,} steps: WSD is {worst[5]:+.2f} % from the cosine ({worst[-1]})."
    return Outcome(said, [table], [plot])


def _table(cfg: RateSchedules, bits: Mapping[str, np.ndarray]) -> Table:
    """Return the schedules side by side. bits: of each schedule, [horizons, seeds]."""
    rows = []
    for steps, cosine, wsd in zip(cfg.horizons, *(bits[schedule] for schedule in SCHEDULES)):
        mean, t, _, verdict = compare_pairs(wsd - cosine)
        share = 100 * float(mean / cosine.mean())
        within = "reached" if abs(share) <= 100 * WITHIN else "missed"
        interval = f"{t[0]:+.4f} to {t[1]:+.4f}"
        rows.append([steps, float(cosine.mean()), float(wsd.mean()), mean, interval, share, verdict, within])
    columns = ["steps", "cosine", "WSD", "difference", "t interval", "difference, %", "WSD is", f"within {WITHIN:.0%}"]
    note = f"Held-out bits per byte, mean over domains; {len(cfg.trial.seeds)} seeds in pairs; 95 % intervals."
    return Table("horizons", "WSD beside the cosine of the same horizon", columns, rows, note)


def _paint(axes: Axes, lines: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]]) -> None:
    paint_bands(axes, lines, "held-out bits per byte")
    axes.set_xscale("log")
    axes.set_xlabel("tokens of the whole run")
