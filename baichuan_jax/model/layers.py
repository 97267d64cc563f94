"""The parts of the decoder as NNX modules. Each parameter is declared once, with a name and size for every axis.

B batch, T query positions, S key positions, D hidden, N heads, H head size, F feed-forward inner, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.rope import rotate
from baichuan_jax.parallel.layout import Layout


class Context(NamedTuple):
    """What every block of one forward pass shares."""

    positions_BT: jax.Array
    rotations: tuple[jax.Array, jax.Array]
    layout: Layout | None

    def constrain(self, x: jax.Array, *axes: str) -> jax.Array:
        """States the layout of an activation, where there is one."""
        return x if self.layout is None else self.layout.constrain(x, *axes)


def weight(rngs: nnx.Rngs, std: float, **axes: int) -> nnx.Param:
    """A weight of normal(0, std) whose axes are given as name=size, in order."""
    return nnx.Param(std * jax.random.normal(rngs.params(), tuple(axes.values())), axes=tuple(axes))


class RMSNorm(nnx.Module):
    """Root mean square layer normalisation (Zhang and Sennrich, arXiv 1910.07467), computed in float32."""

    def __init__(self, cfg: DecoderConfig):
        self.scale = nnx.Param(jnp.ones(cfg.hidden), axes=("norm",))
        self.eps = cfg.norm_eps

    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        x = x_BTD.astype(jnp.float32)
        x *= jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + self.eps)
        return (x * self.scale[...]).astype(x_BTD.dtype)


class Attention(nnx.Module):
    """Causal multi-head attention with rotary positions; no biases."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        into = {"embed": cfg.hidden, "heads": cfg.heads, "head_dim": cfg.head_dim}
        self.query = weight(rngs, cfg.init_std, **into)
        self.key = weight(rngs, cfg.init_std, **into)
        self.value = weight(rngs, cfg.init_std, **into)
        self.output = weight(rngs, cfg.init_std, heads=cfg.heads, head_dim=cfg.head_dim, embed=cfg.hidden)

    def __call__(self, x_BTD: jax.Array, context: Context, cache: dict | None) -> tuple[jax.Array, dict | None]:
        """Returns the output and the cache with this call's keys and values written in at their positions."""

        def project(kernel: nnx.Param) -> jax.Array:
            y_BTNH = jnp.einsum("BTD,DNH->BTNH", x_BTD, kernel[...].astype(x_BTD.dtype))
            return context.constrain(y_BTNH, "batch", "length", "heads", "head_dim")

        q_BTNH = rotate(project(self.query), context.rotations)
        k_BSNH = rotate(project(self.key), context.rotations)
        v_BSNH = project(self.value)
        k_positions_BS = context.positions_BT
        if cache is not None:
            cache = write(cache, k_BSNH, v_BSNH, context.positions_BT)
            k_BSNH, v_BSNH = cache["key"], cache["value"]
            k_positions_BS = jnp.arange(k_BSNH.shape[1])[None]
        visible_BTS = context.positions_BT[:, :, None] >= k_positions_BS[:, None, :]
        y_BTNH = attend(q_BTNH, k_BSNH, v_BSNH, visible_BTS)
        out_BTD = jnp.einsum("BTNH,NHD->BTD", y_BTNH, self.output[...].astype(x_BTD.dtype))
        return context.constrain(out_BTD, "batch", "length", "hidden"), cache


def write(cache: dict, k_BTNH: jax.Array, v_BTNH: jax.Array, positions_BT: jax.Array) -> dict:
    """Writes keys and values at their positions; a position past the end (padding) is dropped."""
    row = jnp.arange(positions_BT.shape[0])[:, None]
    put = lambda old, new: old.at[row, positions_BT].set(new.astype(old.dtype), mode="drop")
    return {"key": put(cache["key"], k_BTNH), "value": put(cache["value"], v_BTNH)}


def attend(q_BTNH: jax.Array, k_BSNH: jax.Array, v_BSNH: jax.Array, visible_BTS: jax.Array) -> jax.Array:
    """Scaled dot-product attention (Vaswani et al., arXiv 1706.03762); the softmax is in float32."""
    scores_BNTS = jnp.einsum("BTNH,BSNH->BNTS", q_BTNH, k_BSNH, preferred_element_type=jnp.float32)
    scores_BNTS *= q_BTNH.shape[-1] ** -0.5
    scores_BNTS = jnp.where(visible_BTS[:, None], scores_BNTS, jnp.finfo(jnp.float32).min)
    weights_BNTS = jax.nn.softmax(scores_BNTS, axis=-1).astype(v_BSNH.dtype)
    return jnp.einsum("BNTS,BSNH->BTNH", weights_BNTS, v_BSNH)


class SwiGLU(nnx.Module):
    """Gated feed-forward, silu(x gate) * (x up), then down (Shazeer, arXiv 2002.05202); no biases."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.gate = weight(rngs, cfg.init_std, embed=cfg.hidden, mlp=cfg.inner)
        self.up = weight(rngs, cfg.init_std, embed=cfg.hidden, mlp=cfg.inner)
        self.down = weight(rngs, cfg.init_std, mlp=cfg.inner, embed=cfg.hidden)

    def __call__(self, x_BTD: jax.Array, context: Context) -> jax.Array:
        dtype = x_BTD.dtype
        gate_BTF = context.constrain(x_BTD @ self.gate[...].astype(dtype), "batch", "length", "mlp")
        up_BTF = context.constrain(x_BTD @ self.up[...].astype(dtype), "batch", "length", "mlp")
        out_BTD = (jax.nn.silu(gate_BTF) * up_BTF) @ self.down[...].astype(dtype)
        return context.constrain(out_BTD, "batch", "length", "hidden")


class Block(nnx.Module):
    """One pre-norm layer: x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.attention_norm = RMSNorm(cfg)
        self.attention = Attention(cfg, rngs)
        self.mlp_norm = RMSNorm(cfg)
        self.mlp = SwiGLU(cfg, rngs)

    def __call__(self, x_BTD: jax.Array, context: Context, cache: dict | None) -> tuple[jax.Array, dict | None]:
        y_BTD, cache = self.attention(self.attention_norm(x_BTD), context, cache)
        x_BTD += y_BTD
        return x_BTD + self.mlp(self.mlp_norm(x_BTD), context), cache


class Ends(nnx.Module):
    """What stands before and after the blocks: the token table, the last norm, and the head (not tied)."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.table = weight(rngs, cfg.init_std, table_vocab=cfg.vocab, table_embed=cfg.hidden)
        self.norm = RMSNorm(cfg)
        self.head = weight(rngs, cfg.init_std, embed=cfg.hidden, vocab=cfg.vocab)

    def embed(self, tokens_BT: jax.Array, context: Context, dtype: jnp.dtype) -> jax.Array:
        """Looks token vectors up."""
        x_BTD = self.table[...].astype(dtype)[tokens_BT]
        return context.constrain(x_BTD, "batch", "length", "hidden")

    def logits(self, x_BTD: jax.Array, context: Context) -> jax.Array:
        """Returns float32 logits over the vocabulary."""
        x_BTD = self.norm(x_BTD)
        kernel = self.head[...].astype(x_BTD.dtype)
        logits_BTV = jnp.einsum("BTD,DV->BTV", x_BTD, kernel, preferred_element_type=jnp.float32)
        return context.constrain(logits_BTV, "batch", "length", "vocab")
