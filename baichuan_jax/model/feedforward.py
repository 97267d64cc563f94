"""The feed-forward layer: one activation each, gated or not; `FEED_FORWARDS` is the table. No biases.

B batch, T positions, D hidden, F feed-forward inner.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
from flax import nnx

from baichuan_jax.model.common import Context, weight
from baichuan_jax.model.config import DecoderConfig


class Kind(NamedTuple):
    """activation(x up) down, or with a gate (activation(x gate) * (x up)) down."""

    activation: Callable[[jax.Array], jax.Array]
    gated: bool


_gelu = partial(jax.nn.gelu, approximate=False)

# The gated ones are those of "GLU Variants Improve Transformer" (Shazeer, arXiv 2002.05202).
FEED_FORWARDS = {
    "relu": Kind(jax.nn.relu, gated=False),
    "gelu": Kind(_gelu, gated=False),
    "silu": Kind(jax.nn.silu, gated=False),
    "glu": Kind(jax.nn.sigmoid, gated=True),
    "bilinear": Kind(lambda x: x, gated=True),
    "reglu": Kind(jax.nn.relu, gated=True),
    "geglu": Kind(_gelu, gated=True),
    "swiglu": Kind(jax.nn.silu, gated=True),
}


def inner_size(cfg: DecoderConfig) -> int:
    """Returns the inner width; where the config leaves it open, the one of equal parameters for every kind."""
    return cfg.inner or cfg.hidden // 32 * (86 if FEED_FORWARDS[cfg.feed_forward].gated else 129)


class FeedForward(nnx.Module):
    """Any entry of the table."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.kind, inner = cfg.feed_forward, inner_size(cfg)
        if FEED_FORWARDS[self.kind].gated:
            self.gate = weight(rngs, cfg.init_std, embed=cfg.hidden, mlp=inner)
        self.up = weight(rngs, cfg.init_std, embed=cfg.hidden, mlp=inner)
        self.down = weight(rngs, cfg.init_std, mlp=inner, embed=cfg.hidden)

    def __call__(self, x_BTD: jax.Array, context: Context) -> jax.Array:
        def widen(kernel: nnx.Param) -> jax.Array:
            return context.constrain(x_BTD @ kernel[...].astype(x_BTD.dtype), "batch", "length", "mlp")

        activation, gated = FEED_FORWARDS[self.kind]
        inner_BTF = activation(widen(self.gate)) * widen(self.up) if gated else activation(widen(self.up))
        return context.constrain(inner_BTF @ self.down[...].astype(x_BTD.dtype), "batch", "length", "hidden")
