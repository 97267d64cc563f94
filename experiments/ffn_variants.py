"""Feed-forward layers at equal parameters: ReLU, GELU, SiLU, and the gated GLU, bilinear, ReGLU, GEGLU, SwiGLU.

Command: baichuan-jax experiment ffn_variants   Cost: 23 minutes, measured on two cores that others used.

The recipe's choice is SwiGLU, after "GLU Variants Improve Transformer" (Shazeer, arXiv 2002.05202). There, at equal
parameters and FLOPs, the gated kinds reach a lower perplexity than ReLU and GELU. Here small decoders that differ only
in the feed-forward layer are trained on real text with several seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.lab.experiment import Outcome
from baichuan_jax.lab.sweep import Progress
from baichuan_jax.model.feedforward import FEED_FORWARDS
from experiments import variants
from experiments.variants import Trial, TrialConfig, compared

DEBUG = (*variants.DEBUG, "FfnVariants.kinds=('relu', 'swiglu')")


@dataclass(frozen=True)
class FfnVariants:
    """The compared feed-forward layers."""

    workdir: str = setting("runs/experiments/ffn_variants", "directory of units, tables, plots and report")
    kinds: tuple[str, ...] = setting(tuple(FEED_FORWARDS), "feed-forward layers; each is compared with the last")
    trial: TrialConfig = field(default_factory=TrialConfig)

    def __post_init__(self) -> None:
        known = bool(self.kinds) and set(self.kinds) <= set(FEED_FORWARDS)
        require(known, "FfnVariants.kinds", self.kinds, f"some of {', '.join(FEED_FORWARDS)}")


def run(cfg: FfnVariants, directory: Path, progress: Progress) -> Outcome:
    """Train every kind on every seed."""
    results = Trial(cfg.trial, directory, progress).run(
        cfg.kinds, lambda kind, shape: replace(shape, feed_forward=kind)
    )
    return compared(results, cfg.kinds[-1], "feed-forward layer")
