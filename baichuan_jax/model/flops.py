"""Floating-point operations of training, counted analytically from the config."""

from __future__ import annotations

from baichuan_jax.model.attention.patterns import pairs
from baichuan_jax.model.attention.xla import band_size
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import parameter_count


def flops_per_token(cfg: DecoderConfig, length: int, causal: bool) -> float:
    """Return forward + backward FLOPs of one token in a sequence of `length` tokens, recomputation not counted.

    Six per parameter that multiplies (all but looked-up vectors: the token table, where the head is not tied to it, and
    learned positions), and 12 * heads * head_dim per layer for each pair of query and key. `causal` counts the pairs
    that the layer's pattern sees; without it every pair of two positions counts twice, as if they saw each other: for
    full attention the convention of PaLM (arXiv 2204.02311, appendix B), which counts the full square.
    """
    table = 0 if cfg.head.tied else cfg.vocab * cfg.hidden
    positions = cfg.context * cfg.hidden if cfg.positions.kind == "learned" else 0
    multiplying = parameter_count(cfg) - table - positions
    seen = _keys(cfg, length)
    return 6 * multiplying + _of_scores(cfg, seen if causal else 2 * seen - 1)


def executed_flops_per_token(cfg: DecoderConfig, length: int, implementation: str) -> float:
    """Return the FLOPs that devices spend on one token: what HFU counts.

    With remat, the forward pass of the blocks (a third of theirs) comes once more, or of them attention alone.
    implementation: of full attention; "xla" computes what a band of queries does not see of its own keys, too. What
    flash attention computes twice inside is not counted.
    """
    full = cfg.attention.pattern.count("full") / len(cfg.attention.pattern)
    unseen = full * (band_size(length) - 1) / 2 if implementation == "xla" else 0.0
    once = flops_per_token(cfg, length, causal=True) + _of_scores(cfg, unseen)
    attention = 0.0 if implementation == "cudnn" else _of_scores(cfg, _keys(cfg, length) + unseen)
    again = {"none": 0.0, "products": attention, "block": once - 6 * cfg.vocab * cfg.hidden}
    return once + again[cfg.remat] / 3


def _keys(cfg: DecoderConfig, length: int) -> float:
    """Return how many keys a query sees, on the average of positions and layers."""
    patterns = cfg.attention.pattern
    return sum(pairs(pattern, length, cfg.attention) for pattern in patterns) / len(patterns) / length


def _of_scores(cfg: DecoderConfig, keys: float) -> float:
    """Return forward + backward FLOPs of attention, without its weights, where a query has so many keys."""
    return 12 * cfg.layers * cfg.heads * cfg.head_dim * keys
