"""Normalisation of the residual stream, in float32; `NORMS` is the table. B batch, T positions, D hidden."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from baichuan_jax.model.config import DecoderConfig


class RMSNorm(nnx.Module):
    """Root mean square layer normalisation (Zhang and Sennrich, arXiv 1910.07467)."""

    def __init__(self, cfg: DecoderConfig):
        self.scale = nnx.Param(jnp.ones(cfg.hidden), axes=("norm",))
        self.eps = cfg.norm_eps

    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        x = x_BTD.astype(jnp.float32)
        x *= jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + self.eps)
        return (x * self.scale[...]).astype(x_BTD.dtype)


class LayerNorm(nnx.Module):
    """Layer normalisation with gain and bias (Ba et al., arXiv 1607.06450)."""

    def __init__(self, cfg: DecoderConfig):
        self.scale = nnx.Param(jnp.ones(cfg.hidden), axes=("norm",))
        self.bias = nnx.Param(jnp.zeros(cfg.hidden), axes=("norm",))
        self.eps = cfg.norm_eps

    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        x = x_BTD.astype(jnp.float32)
        x -= jnp.mean(x, axis=-1, keepdims=True)
        x *= jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + self.eps)
        return (x * self.scale[...] + self.bias[...]).astype(x_BTD.dtype)


NORMS = {"rms": RMSNorm, "layer": LayerNorm}
