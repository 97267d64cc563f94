"""Floating-point operations of training, counted analytically from the config."""

from __future__ import annotations

from baichuan_jax.model.attention.patterns import pairs
from baichuan_jax.model.attention.xla import band_size
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import parameter_count


def flops_per_token(cfg: DecoderConfig, length: int, causal: bool) -> float:
    """Return forward + backward FLOPs per token in a sequence of `length` tokens, without recomputation.

    Six per parameter in a product (all but looked-up vectors: an untied token table and learned positions), and
    12 * heads * head_dim per layer and pair of query and key. `causal` counts the pairs of the layer's pattern. Without
    it both directions of a pair count; for full attention this is the convention of PaLM (arXiv 2204.02311, appendix
    B), which counts the full square.
    """
    seen = _keys(cfg, length)
    return 6 * multiplied(cfg) + _of_scores(cfg, seen if causal else 2 * seen - 1)


def multiplied(cfg: DecoderConfig) -> int:
    """Return the number of parameters in products."""
    table = 0 if cfg.head.tied else cfg.vocab * cfg.hidden
    positions = cfg.context * cfg.hidden if cfg.positions.kind == "learned" else 0
    return parameter_count(cfg) - table - positions


def executed_flops_per_token(cfg: DecoderConfig, length: int, implementation: str) -> float:
    """Return the executed FLOPs per token, which HFU counts.

    With remat, the forward pass of the blocks (a third of their FLOPs), or of attention alone, counts again.
    implementation: of full attention; "xla" also computes the masked scores of a band of queries. Recomputation inside
    flash attention is not counted.
    """
    full = cfg.attention.pattern.count("full") / len(cfg.attention.pattern)
    unseen = full * (band_size(length) - 1) / 2 if implementation == "xla" else 0.0
    once = flops_per_token(cfg, length, causal=True) + _of_scores(cfg, unseen)
    attention = 0.0 if implementation == "cudnn" else _of_scores(cfg, _keys(cfg, length) + unseen)
    again = {"products": attention, "block": once - 6 * cfg.vocab * cfg.hidden}
    return once + again.get(cfg.remat, 0.0) / 3


def _keys(cfg: DecoderConfig, length: int) -> float:
    """Return the average number of keys per query over positions and layers."""
    patterns = cfg.attention.pattern
    return sum(pairs(pattern, length, cfg.attention) for pattern in patterns) / len(patterns) / length


def _of_scores(cfg: DecoderConfig, keys: float) -> float:
    """Return forward + backward FLOPs per token of attention scores and values, at this many keys per query."""
    return 12 * cfg.layers * cfg.heads * cfg.head_dim * keys
