"""Shared by the layers: weights with named axes, norms, and the context of a forward pass.

B batch, T positions, D hidden.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from baichuan_jax.model.execution import Execution
from baichuan_jax.model.positions import Positions


class Context(NamedTuple):
    """One forward pass. rotations: cos and sin for queries and keys, if the position scheme rotates them.

    segments_BT: number of the document of each token, or None: every sequence is one document.
    """

    exe: Execution
    positions_BT: jax.Array
    segments_BT: jax.Array | None
    scheme: Positions
    rotations: tuple[jax.Array, jax.Array] | None


def weight(rngs: nnx.Rngs, std: float, **axes: int) -> nnx.Param:
    """Return a normal(0, std) weight with axes name=size, in order."""
    return nnx.Param(std * jax.random.normal(rngs.params(), tuple(axes.values())), axes=tuple(axes))


def capped(x: jax.Array, soft_cap: float) -> jax.Array:
    """Bound logits or scores to +-soft_cap by tanh (Gemma 2, arXiv 2408.00118); 0 is off."""
    return soft_cap * jnp.tanh(x / soft_cap) if soft_cap else x


class RMSNorm(nnx.Module):
    """Root mean square layer normalisation over the last axis (Zhang and Sennrich, arXiv 1910.07467)."""

    def __init__(self, size: int, eps: float):
        self.scale = nnx.Param(jnp.ones(size), axes=("norm",))
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        dtype, x = x.dtype, x.astype(jnp.float32)
        x *= jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + self.eps)
        return (x * self.scale[...]).astype(dtype)


class LayerNorm(nnx.Module):
    """Layer normalisation over the last axis, with gain and bias (Ba et al., arXiv 1607.06450)."""

    def __init__(self, size: int, eps: float):
        self.scale = nnx.Param(jnp.ones(size), axes=("norm",))
        self.bias = nnx.Param(jnp.zeros(size), axes=("norm",))
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        dtype, x = x.dtype, x.astype(jnp.float32)
        x -= jnp.mean(x, axis=-1, keepdims=True)
        x *= jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + self.eps)
        return (x * self.scale[...] + self.bias[...]).astype(dtype)


NORMS = {"rms": RMSNorm, "layer": LayerNorm}
