"""cuDNN's flash attention. B batch, T positions, K key/value heads, G query heads of each, H head size."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from baichuan_jax.model.attention.xla import Scores
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.execution import Execution


def attend_cudnn(
    q_BTKGH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    scores: Scores,
    segments_BT: jax.Array | None,
    exe: Execution,
) -> jax.Array:
    """Return y_BTKGH of full causal attention."""
    q_BTNH = q_BTKGH.reshape(*q_BTKGH.shape[:2], -1, q_BTKGH.shape[-1])
    y_BTNH = jax.nn.dot_product_attention(q_BTNH, k_BTKH, v_BTKH, is_causal=True, implementation="cudnn")
    return y_BTNH.reshape(q_BTKGH.shape)


def refused_by_cudnn(cfg: DecoderConfig, length: int, dtype: jnp.dtype, segments: bool) -> str:
    """Return why cuDNN does not support this, or ""."""
    if segments:
        return "has no public way to keep documents apart, and no GPU has shown another"
    if dtype not in (jnp.bfloat16, jnp.float16):
        return f"computes in bfloat16, not in {dtype}; set TrainConfig.compute_dtype"
    if cfg.positions.kind == "alibi":
        return "would need the bias of ALiBi as an array of the sequence squared"
    if cfg.attention.soft_cap:
        return "has no soft cap"
    return "" if cfg.head_dim % 8 == 0 and cfg.head_dim <= 256 else "needs a head_dim of 8, 16, ... up to 256"
