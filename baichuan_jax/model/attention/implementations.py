"""The operators that compute full causal attention; `KERNELS` is the table. Sparse patterns have their own.

B batch, T positions, K key/value heads, G query heads of each, N all query heads, H head size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from baichuan_jax.core.errors import require
from baichuan_jax.model.attention import blockwise as chunked
from baichuan_jax.model.attention.scores import Scores
from baichuan_jax.model.attention.scores import attend as dense
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.parallel.layout import Layout

BAND, BANDS = 128, 4  # fewest queries that are compared with the same keys; most such bands
DENSE_LENGTH = 1024  # from here on, what blocks spare is worth more than what their loop costs


class Kernel(NamedTuple):
    """attend(q_BTKGH, k_BTKH, v_BTKH, scores, layout) -> y_BTKGH.

    refuses(cfg, length, dtype): what it needs and does not find, or "". platform: the only one it runs on, if any.
    """

    attend: Callable[..., jax.Array]
    refuses: Callable[[DecoderConfig, int, jnp.dtype], str] = lambda cfg, length, dtype: ""
    platform: str = ""


def dense_band(length: int) -> int:
    """Return how many queries the dense kernel compares with the same keys: all up to the last of them."""
    band = max(BAND, length // BANDS)
    return length if length % band else band


def _dense(q_BTKGH: jax.Array, k: jax.Array, v: jax.Array, scores: Scores, layout: Layout | None) -> jax.Array:
    """Every score in memory at once, but for those of most keys that a band of queries cannot see."""
    length = q_BTKGH.shape[1]
    band = dense_band(length)

    def of_band(end: int) -> jax.Array:
        distance_TS = jnp.arange(end - band, end)[:, None] - jnp.arange(end)
        return dense(q_BTKGH[:, end - band : end], k[:, :end], v[:, :end], distance_TS >= 0, distance_TS, scores)

    return jnp.concatenate([of_band(end) for end in range(band, length + 1, band)], axis=1)


def _chunked(q_BTKGH: jax.Array, k: jax.Array, v: jax.Array, scores: Scores, layout: Layout | None) -> jax.Array:
    return chunked.attend(q_BTKGH, k, v, scores)


def _cudnn(q_BTKGH: jax.Array, k: jax.Array, v: jax.Array, scores: Scores, layout: Layout | None) -> jax.Array:
    """cuDNN's flash attention."""
    q_BTNH = q_BTKGH.reshape(*q_BTKGH.shape[:2], -1, q_BTKGH.shape[-1])
    y_BTNH = jax.nn.dot_product_attention(q_BTNH, k, v, is_causal=True, implementation="cudnn")
    return y_BTNH.reshape(q_BTKGH.shape)


def _splash(
    q_BTKGH: jax.Array, k: jax.Array, v: jax.Array, scores: Scores, layout: Layout | None, interpret: bool = False
) -> jax.Array:
    """Splash attention, a kernel for TPU that comes with jax; every device takes its own sequences and heads."""
    from jax.experimental.pallas.ops.tpu import splash_attention as splash

    length = q_BTKGH.shape[1]
    block = next(size for size in (1024, 512, 256, 128) if length % size == 0)
    forward = ("block_q", "block_kv", "block_kv_compute", "block_q_dkv", "block_kv_dkv", "block_kv_dkv_compute")
    sizes = splash.BlockSizes(**dict.fromkeys(forward, block), use_fused_bwd_kernel=True)

    def local(q_BTKGH: jax.Array, k_BTKH: jax.Array, v_BTKH: jax.Array) -> jax.Array:
        q_BTNH = q_BTKGH.reshape(*q_BTKGH.shape[:2], -1, q_BTKGH.shape[-1]) * q_BTKGH.shape[-1] ** -0.5
        mask = splash.MultiHeadMask([splash.CausalMask((length, length))] * q_BTNH.shape[2])
        kernel = splash.make_splash_mha(
            mask,
            block_sizes=sizes,
            head_shards=1,
            q_seq_shards=1,
            attn_logits_soft_cap=scores.soft_cap or None,
            interpret=interpret,
        )
        heads_first = lambda x: jnp.swapaxes(x, 1, 2)
        arrays = (heads_first(q_BTNH), heads_first(k_BTKH), heads_first(v_BTKH))
        # One sequence after the other, as the kernel does it in any case: for the backward pass it writes each sum of
        # weights 128 times, as much as two arrays of queries, and a vmap keeps that until then.
        y_BNTH = jax.lax.map(lambda sequence: kernel(*sequence), arrays)
        return heads_first(y_BNTH).reshape(q_BTKGH.shape)

    if layout is None:
        return local(q_BTKGH, k, v)
    spec = layout.by_heads("kv_heads")
    split = jax.shard_map(local, mesh=layout.mesh, in_specs=(spec, spec, spec), out_specs=spec, check_vma=False)
    return split(q_BTKGH, k, v)


def _refused_by_cudnn(cfg: DecoderConfig, length: int, dtype: jnp.dtype) -> str:
    if dtype not in (jnp.bfloat16, jnp.float16):
        return f"computes in bfloat16, not in {dtype}; set TrainConfig.compute_dtype"
    if cfg.positions.kind == "alibi":
        return "would need the bias of ALiBi as an array of the sequence squared"
    if cfg.attention.soft_cap:
        return "has no soft cap"
    return "" if cfg.head_dim % 8 == 0 and cfg.head_dim <= 256 else "needs a head_dim of 8, 16, ... up to 256"


def _refused_by_splash(cfg: DecoderConfig, length: int, dtype: jnp.dtype) -> str:
    if cfg.positions.kind == "alibi":
        return "has no bias for ALiBi"
    if cfg.head_dim % 128:
        return "needs a head_dim that is a multiple of 128"
    return "" if length % 128 == 0 else "needs sequences of a multiple of 128"


KERNELS = {
    "xla": Kernel(_dense),
    "chunked": Kernel(_chunked),
    "cudnn": Kernel(_cudnn, _refused_by_cudnn, "gpu"),
    "splash": Kernel(_splash, _refused_by_splash, "tpu"),
}


def choose(cfg: DecoderConfig, length: int, dtype: jnp.dtype, platform: str) -> str:
    """Return the kernel of AttentionConfig.kernel for sequences of `length`. Raise UserError where it cannot run.

    "auto" is the platform's own kernel where that knows all that the config asks for; or else the chunked one, and the
    dense one for short sequences.
    """
    name = cfg.attention.kernel
    if name == "auto":
        own = [each for each, kernel in KERNELS.items() if kernel.platform == platform]
        fitting = [each for each in own if not KERNELS[each].refuses(cfg, length, dtype)]
        return [*fitting, "xla" if length <= DENSE_LENGTH else "chunked"][0]
    kernel, hint = KERNELS[name], "'chunked' runs everywhere"
    fits = kernel.platform in ("", platform)
    require(fits, "AttentionConfig.kernel", name, f"one for {platform}: it needs a {kernel.platform}", hint)
    reason = kernel.refuses(cfg, length, dtype)
    require(not reason, "AttentionConfig.kernel", name, f"another one: it {reason}", hint)
    return name


def attend(
    q_BTKGH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    cfg: DecoderConfig,
    scores: Scores,
    layout: Layout | None,
) -> jax.Array:
    """Return y_BTKGH of full causal attention for whole sequences, by the kernel that the config names."""
    platform = jax.default_backend() if layout is None else layout.platform
    name = choose(cfg, q_BTKGH.shape[1], q_BTKGH.dtype, platform)
    return KERNELS[name].attend(q_BTKGH, k_BTKH, v_BTKH, scores, layout)
