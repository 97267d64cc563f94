"""Attention at equal parameters: multi-head, grouped, multi-query, local, strided, fixed, and alternating per layer.

Command: baichuan-jax experiment attention_variants   Cost: 19 minutes, measured on two cores that others used.

Small decoders that differ only in attention are trained on real text with several seeds. The parameters saved by
grouped and multi-query attention go to a wider feed-forward layer, rounded to a multiple of its width.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.lab.experiment import Outcome
from baichuan_jax.lab.sweep import Progress
from baichuan_jax.model.config import AttentionConfig, DecoderConfig
from baichuan_jax.model.feedforward import inner_size
from experiments import variants
from experiments.variants import Trial, TrialConfig, compared


@dataclass(frozen=True)
class AttentionVariants:
    """The compared kinds of attention."""

    workdir: str = setting("runs/experiments/attention_variants", "directory of units, tables, plots and report")
    kinds: tuple[str, ...] = setting(
        ("multi-head", "grouped", "multi-query", "local", "strided", "fixed", "local and full"),
        "kinds of attention; each is compared with the first",
    )
    window: int = setting(16, "positions of the sparse patterns")
    summary: int = setting(2, "positions at the end of a block that later blocks attend to, in the pattern 'fixed'")
    trial: TrialConfig = field(default_factory=TrialConfig)

    def __post_init__(self) -> None:
        known = AttentionVariants.kinds
        require(set(self.kinds) <= set(known), "AttentionVariants.kinds", self.kinds, f"some of {', '.join(known)}")
        require(self.trial.heads % 2 == 0, "TrialConfig.heads", self.trial.heads, "even: grouped attention halves them")
        require(self.trial.layers % 2 == 0, "TrialConfig.layers", self.trial.layers, "even: patterns alternate")


DEBUG = (*variants.DEBUG, "AttentionVariants.window=4", "AttentionVariants.kinds=('multi-query', 'local and full')")


def attentions(cfg: AttentionVariants) -> dict[str, AttentionConfig]:
    """Return the attention settings of every kind."""
    sparse = partial(AttentionConfig, window=cfg.window)
    return {
        "multi-head": AttentionConfig(),
        "grouped": AttentionConfig(kv_heads=cfg.trial.heads // 2),
        "multi-query": AttentionConfig(kv_heads=1),
        "local": sparse(pattern=("local",)),
        "strided": sparse(pattern=("strided",)),
        "fixed": sparse(pattern=("fixed",), summary=cfg.summary),
        "local and full": sparse(pattern=("local", "full")),
    }


def with_attention(shape: DecoderConfig, attention: AttentionConfig) -> DecoderConfig:
    """Return the decoder with this attention, and the inner width that gives about equal parameters."""
    model_cfg = replace(shape, attention=attention)
    saved = 2 * model_cfg.hidden * model_cfg.head_dim * (model_cfg.heads - model_cfg.kv_heads)
    return replace(model_cfg, inner=inner_size(model_cfg) + round(saved / (3 * model_cfg.hidden)))


def run(cfg: AttentionVariants, directory: Path, progress: Progress) -> Outcome:
    """Train every kind of attention on every seed."""
    attention = attentions(cfg)
    trial = Trial(cfg.trial, directory, progress, {"window": cfg.window, "summary": cfg.summary})
    results = trial.run(cfg.kinds, lambda kind, shape: with_attention(shape, attention[kind]))
    return compared(results, cfg.kinds[0], "kind of attention")
