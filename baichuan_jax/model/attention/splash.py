"""Splash attention, JAX's flash attention for TPU.

B batch, T positions, K key/value heads, G query heads of each, N all query heads, H head size.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from baichuan_jax.model.attention.xla import Scores
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.execution import Execution


def attend_splash(
    q_BTKGH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    scores: Scores,
    segments_BT: jax.Array | None,
    exe: Execution,
    interpret: bool = False,
) -> jax.Array:
    """Return y_BTKGH of full causal attention; every device computes its own sequences and heads.

    interpret: run the kernel without a TPU, for tests.
    """
    from jax.experimental.pallas.ops.tpu import splash_attention as splash

    length = q_BTKGH.shape[1]
    block = next(size for size in (1024, 512, 256, 128) if length % size == 0)
    names = ("block_q", "block_kv", "block_kv_compute", "block_q_dkv", "block_kv_dkv", "block_kv_dkv_compute")
    sizes = splash.BlockSizes(**dict.fromkeys(names, block), use_fused_bwd_kernel=True)

    def on_device(q_BTKGH: jax.Array, k_BTKH: jax.Array, v_BTKH: jax.Array, segments_BT: jax.Array | None) -> jax.Array:
        q_BTNH = q_BTKGH.reshape(*q_BTKGH.shape[:2], -1, q_BTKGH.shape[-1]) * q_BTKGH.shape[-1] ** -0.5
        mask = splash.MultiHeadMask([splash.CausalMask((length, length))] * q_BTNH.shape[2])
        attend = splash.make_splash_mha(
            mask,
            block_sizes=sizes,
            head_shards=1,
            q_seq_shards=1,
            attn_logits_soft_cap=scores.soft_cap or None,
            interpret=interpret,
        )
        heads_first = lambda x: jnp.swapaxes(x, 1, 2)
        arrays = (heads_first(q_BTNH), heads_first(k_BTKH), heads_first(v_BTKH), segments_BT)

        def of_sequence(arrays: tuple) -> jax.Array:
            q_NTH, k_KTH, v_KTH, segments_T = arrays
            segments = None if segments_T is None else splash.SegmentIds(segments_T, segments_T)
            return attend(q_NTH, k_KTH, v_KTH, segments)

        # One sequence after the other, as the kernel does it in any case: for the backward pass it writes each sum of
        # weights 128 times, as much as two arrays of queries, and a vmap keeps that until then.
        return heads_first(jax.lax.map(of_sequence, arrays)).reshape(q_BTKGH.shape)

    if exe.layout is None:
        return on_device(q_BTKGH, k_BTKH, v_BTKH, segments_BT)
    by_head = exe.layout.by_heads("kv_heads")
    in_specs = (by_head, by_head, by_head, PartitionSpec(by_head[0]))
    split = jax.shard_map(on_device, mesh=exe.layout.mesh, in_specs=in_specs, out_specs=by_head, check_vma=False)
    return split(q_BTKGH, k_BTKH, v_BTKH, segments_BT)


def refused_by_splash(cfg: DecoderConfig, length: int, dtype: jnp.dtype, segments: bool) -> str:
    """Return why splash attention does not support this, or ""."""
    if cfg.positions.kind == "alibi":
        return "has no bias for ALiBi"
    if cfg.head_dim % 128:
        return "needs a head_dim that is a multiple of 128"
    return "" if length % 128 == 0 else "needs sequences of a multiple of 128"
