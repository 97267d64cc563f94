"""Floating-point operations of training, counted analytically from the config."""

from __future__ import annotations

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import parameter_count


def flops_per_token(cfg: DecoderConfig, length: int, causal: bool) -> float:
    """Returns forward + backward FLOPs of one token in a sequence of `length` tokens, recomputation not counted.

    Six per parameter that multiplies (all but the token table), and 12 * layers * heads * head_dim * length for
    attention: the convention of PaLM (arXiv 2204.02311, appendix B), which counts attention over the full square.
    `causal` counts only the half that a causal mask leaves.
    """
    multiplying = parameter_count(cfg) - cfg.vocab * cfg.hidden
    attention = 12 * cfg.layers * cfg.heads * cfg.head_dim * length
    return 6 * multiplying + (attention / 2 if causal else attention)
