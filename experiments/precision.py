"""The cost in loss of bfloat16 compute, and of bfloat16 moments with stochastic or nearest rounding, against float32.

Command: baichuan-jax experiment precision   Cost: 12 units of about 90 s on a busy machine, 35 s with hidden = 64.

The recipe trains in mixed precision "without loss of accuracy": bfloat16 products, float32 parameters. Here a small
decoder is trained to the end of its schedule in each precision. For one seed, every precision starts from the same
parameters and sees the same text in the same order. The loss is measured in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import Plot
from baichuan_jax.lab.sweep import Progress
from experiments import variants
from experiments.variants import Training, Trial, TrialConfig, paint_curves

# Name -> dtype of the forward and backward pass, and OptimConfig.moments.
KINDS = {
    "float32": ("float32", "float32"),
    "bfloat16": ("bfloat16", "float32"),
    "bfloat16, moments too": ("bfloat16", "bfloat16"),
    "bfloat16, moments to nearest": ("bfloat16", "bfloat16_nearest"),
}
DEBUG = (*variants.DEBUG, "Precision.kinds=('float32', 'bfloat16, moments too')")


@dataclass(frozen=True)
class Precision:
    """The compared precisions."""

    workdir: str = setting("runs/experiments/precision", "directory of units, tables, plots and report")
    kinds: tuple[str, ...] = setting(tuple(KINDS), "precisions; each is compared with the first")
    b2: float = setting(
        0.95, "b2 of Adam; the longer the second moment remembers, the smaller the steps that rounding may swallow"
    )
    trial: TrialConfig = field(default_factory=TrialConfig)

    def __post_init__(self) -> None:
        known = bool(self.kinds) and set(self.kinds) <= set(KINDS)
        require(known, "Precision.kinds", self.kinds, f"some of {', '.join(KINDS)}")


def run(cfg: Precision, directory: Path, progress: Progress) -> Outcome:
    """Train in every precision on every seed."""

    def training(kind: str, common: Training) -> Training:
        (compute, moments), (train_cfg, optim_cfg) = KINDS[kind], common
        return replace(train_cfg, compute_dtype=compute), replace(optim_cfg, moments=moments, b2=cfg.b2)

    trial = Trial(cfg.trial, directory, progress, {"b2": cfg.b2})
    results = trial.run(cfg.kinds, lambda kind, shape: shape, training=training)
    table = gaps(results, cfg.kinds[0])
    plot = Plot(
        "tokens",
        "Held-out loss against tokens",
        "Held-out bits per byte of every precision against tokens of training.",
        partial(paint_curves, results=results, against="tokens"),
    )
    largest = max(table.rows, key=lambda row: abs(row[3]))
    return Outcome(f"Largest median gap: {largest[0]}, {largest[3] / 1000:+.5f} bits per byte.", [table], [plot])


def gaps(results: Mapping[str, list[dict]], baseline: str) -> Table:
    """Return final bits per byte by precision, and the paired gap to one of them."""
    final = {kind: np.array([result["bits"][-1] for result in seeds]) for kind, seeds in results.items()}
    rows = []
    for kind, bits in final.items():
        gap = 1000 * (bits - final[baseline])
        rows.append([kind, *map(float, (np.median(bits), np.ptp(bits), np.median(gap), gap.min(), gap.max()))])
    columns = ["precision", "bits/byte", "range", f"1000 x gap to {baseline}", "least", "most"]
    note = f"{len(final[baseline])} seeds: medians, and the range over them. The gap is taken seed by seed."
    return Table("final", "Held-out bits per byte at the end of training", columns, rows, note)
