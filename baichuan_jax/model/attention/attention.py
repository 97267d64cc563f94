"""Causal attention with grouped key/value heads, and its cache.

`IMPLEMENTATIONS` is the table of implementations of full causal attention. Sparse patterns are in patterns.py.

B batch, T query positions, S key positions, D hidden, N query heads, K key/value heads, G = N/K heads of a group, H
head size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from baichuan_jax.core.errors import require
from baichuan_jax.model.attention.blockwise import attend_blockwise
from baichuan_jax.model.attention.cudnn import attend_cudnn, refused_by_cudnn
from baichuan_jax.model.attention.exchange import to_heads, to_tokens
from baichuan_jax.model.attention.patterns import PATTERNS
from baichuan_jax.model.attention.splash import attend_splash, refused_by_splash
from baichuan_jax.model.attention.xla import Scores, attend, attend_xla
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.execution import Execution
from baichuan_jax.model.layers import NORMS, Context, weight
from baichuan_jax.model.positions import rotate
from baichuan_jax.model.storage import restored, stored

DENSE_LENGTH = 1024  # up to here, the loop of blocks costs more than the scores that it leaves out


class Implementation(NamedTuple):
    """attend(q_BTKGH, k_BTKH, v_BTKH, scores, segments_BT, exe) -> y_BTKGH.

    refuses(cfg, length, dtype, segments): why it does not support this, or "". platform: required platform, or "".
    """

    attend: Callable[..., jax.Array]
    refuses: Callable[[DecoderConfig, int, jnp.dtype, bool], str] = lambda cfg, length, dtype, segments: ""
    platform: str = ""


IMPLEMENTATIONS = {
    "xla": Implementation(attend_xla),
    "chunked": Implementation(attend_blockwise),
    "cudnn": Implementation(attend_cudnn, refused_by_cudnn, "gpu"),
    "splash": Implementation(attend_splash, refused_by_splash, "tpu"),
}


def choose_implementation(cfg: DecoderConfig, length: int, exe: Execution, segments: bool = False) -> str:
    """Return the implementation for sequences of `length`. Raise UserError if the configured one cannot run.

    "auto" is the platform's own implementation if it supports the config. Otherwise it is "xla" for short sequences and
    "chunked" for long ones. segments: whether documents are separate.
    """
    name, dtype = cfg.attention.implementation, exe.dtype
    if name == "auto":
        own = [each for each, found in IMPLEMENTATIONS.items() if found.platform == exe.platform]
        fitting = [each for each in own if not IMPLEMENTATIONS[each].refuses(cfg, length, dtype, segments)]
        return [*fitting, "xla" if length <= DENSE_LENGTH else "chunked"][0]
    found, hint = IMPLEMENTATIONS[name], "'chunked' runs everywhere"
    fits = found.platform in ("", exe.platform)
    expected = f"one for {exe.platform}: it needs a {found.platform}"
    require(fits, "AttentionConfig.implementation", name, expected, hint)
    reason = found.refuses(cfg, length, dtype, segments)
    require(not reason, "AttentionConfig.implementation", name, f"another one: it {reason}", hint)
    return name


class Attention(nnx.Module):
    """Causal attention without biases; the pattern of the layer selects the visible positions."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.cfg = cfg
        query = {"embed": cfg.hidden, "heads": cfg.heads, "head_dim": cfg.head_dim}
        shared = {"embed": cfg.hidden, "kv_heads": cfg.kv_heads, "head_dim": cfg.head_dim}
        self.query = weight(rngs, cfg.init_std, **query)
        self.key = weight(rngs, cfg.init_std, **shared)
        self.value = weight(rngs, cfg.init_std, **shared)
        self.output = weight(rngs, cfg.init_std, heads=cfg.heads, head_dim=cfg.head_dim, embed=cfg.hidden)
        if cfg.attention.qk_norm:
            self.query_norm = NORMS[cfg.norm](cfg.head_dim, cfg.norm_eps)
            self.key_norm = NORMS[cfg.norm](cfg.head_dim, cfg.norm_eps)

    def __call__(
        self, x_BTD: jax.Array, context: Context, cache: dict | None, pattern: str
    ) -> tuple[jax.Array, dict | None]:
        """Return the output, and the cache with the new keys and values at their positions."""
        exe, segments_BT = context.exe, context.segments_BT

        def project(weight: nnx.Param, heads: str) -> jax.Array:
            return exe.constrain(exe.matmul(x_BTD, weight), "batch", "length", heads, "head_dim")

        q_BTNH = project(self.query, "heads")
        k_BSKH, v_BSKH = project(self.key, "kv_heads"), project(self.value, "kv_heads")
        if self.cfg.attention.qk_norm:
            q_BTNH, k_BSKH = self.query_norm(q_BTNH), self.key_norm(k_BSKH)
        if context.rotations is not None:
            q_BTNH, k_BSKH = rotate(q_BTNH, context.rotations), rotate(k_BSKH, context.rotations)
        grouped = (*q_BTNH.shape[:2], k_BSKH.shape[2], -1, q_BTNH.shape[3])  # query head n has key head n // G
        slopes_N, cap = context.scheme.slopes(), self.cfg.attention.soft_cap
        scores = Scores(cap, None if slopes_N is None else slopes_N.reshape(k_BSKH.shape[2], -1))
        exchanged = cache is None and exe.splits_length
        if exchanged:
            q_BTNH = to_heads(q_BTNH, "heads", exe.layout)
            k_BSKH, v_BSKH = (to_heads(x, "kv_heads", exe.layout) for x in (k_BSKH, v_BSKH))
        if cache is None and pattern == "full":
            q_BTKGH = q_BTNH.reshape(grouped)
            name = choose_implementation(self.cfg, q_BTKGH.shape[1], exe, segments_BT is not None)
            y_BTKGH = IMPLEMENTATIONS[name].attend(q_BTKGH, k_BSKH, v_BSKH, scores, segments_BT, exe)
        elif cache is None:
            sparse = PATTERNS[pattern]
            y_BTKGH = sparse.attend(q_BTNH.reshape(grouped), k_BSKH, v_BSKH, self.cfg.attention, scores, segments_BT)
        else:
            cache = write(cache, k_BSKH, v_BSKH, context.positions_BT)
            k_BSKH, v_BSKH = (jnp.swapaxes(restored(cache[name], x_BTD.dtype), 1, 2) for name in ("key", "value"))
            q_positions_BT1, k_positions_S = context.positions_BT[:, :, None], jnp.arange(k_BSKH.shape[1])
            sees_BTS = PATTERNS[pattern].sees(q_positions_BT1, k_positions_S, self.cfg.attention)
            distance_BTS = q_positions_BT1 - k_positions_S
            y_BTKGH = attend(q_BTNH.reshape(grouped), k_BSKH, v_BSKH, sees_BTS, distance_BTS, scores)
        y_BTNH = y_BTKGH.reshape(q_BTNH.shape)
        if exchanged:
            y_BTNH = to_tokens(y_BTNH, "heads", exe.layout)
        return exe.constrain(exe.matmul(y_BTNH, self.output, 2), "batch", "length", "hidden"), cache


def write(cache: dict, k_BTKH: jax.Array, v_BTKH: jax.Array, positions_BT: jax.Array) -> dict:
    """Write keys and values at their positions into [B, K, S, H]; a position past the end (padding) is dropped."""
    row = jnp.arange(positions_BT.shape[0])[:, None]
    put = lambda old, new: old.at[row, :, positions_BT].set(new, mode="drop")
    new = {"key": k_BTKH, "value": v_BTKH}
    return {name: jax.tree.map(put, cache[name], stored(new[name], cache[name])) for name in new}
