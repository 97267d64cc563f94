"""The feed-forward layer: one activation each, gated or not; `FEED_FORWARDS` is the table. No biases.

B batch, T positions, D hidden, F feed-forward inner.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
from flax import nnx

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.layers import Context, product, weight
from baichuan_jax.model.token_chunks import Kernels, Split, in_chunks


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
    """Return the inner width; where the config leaves it open, the one of equal parameters for every kind."""
    return cfg.inner or cfg.hidden // 32 * (86 if FEED_FORWARDS[cfg.feed_forward].gated else 129)


class FeedForward(nnx.Module):
    """Any entry of the table."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.kind, inner = cfg.feed_forward, inner_size(cfg)
        self.names = ("gate", "up", "down") if FEED_FORWARDS[self.kind].gated else ("up", "down")
        if FEED_FORWARDS[self.kind].gated:
            self.gate = weight(rngs, cfg.init_std, embed=cfg.hidden, mlp=inner)
        self.up = weight(rngs, cfg.init_std, embed=cfg.hidden, mlp=inner)
        self.down = weight(rngs, cfg.init_std, mlp=inner, embed=cfg.hidden)

    def __call__(self, x_BTD: jax.Array, context: Context) -> jax.Array:
        if context.inner_bytes:
            kernels = {name: getattr(self, name)[...].astype(x_BTD.dtype) for name in self.names}
            layout, inner = context.layout, self.down.shape[0]
            num_shards = (
                1 if layout is None else math.prod(layout.mesh.shape[axis] for axis in layout.tensor_axes("mlp"))
            )
            tokens = max(1, context.inner_bytes // (x_BTD.dtype.itemsize * inner // num_shards))
            axes = tuple((name, getattr(self, name).get_metadata("axes")) for name in self.names)
            y_BTD = in_chunks(COMPUTE[self.kind], x_BTD, kernels, Split(tokens, axes, layout))
        else:
            widened = lambda inner_BTF: context.constrain(inner_BTF, "batch", "length", "mlp")
            y_BTD = _compute(self.kind, x_BTD, lambda x, name: context.product(x, getattr(self, name)), widened)
        return context.constrain(y_BTD, "batch", "length", "hidden")


def _compute(
    kind: str, x: jax.Array, times: Callable[[jax.Array, str], jax.Array], widened: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """Return the layer's output. times(x, name): x times a kernel. widened: called with what has the inner width."""
    activation, gated = FEED_FORWARDS[kind]
    up = widened(times(x, "up"))
    inner = activation(widened(times(x, "gate"))) * up if gated else activation(up)
    return times(inner, "down")


def _of_chunk(kind: str, x: jax.Array, kernels: Kernels) -> jax.Array:
    return _compute(kind, x, lambda x, name: product(x, kernels[name]), lambda inner: inner)


# One function a kind, since programs are kept by the functions they are made of.
COMPUTE = {kind: partial(_of_chunk, kind) for kind in FEED_FORWARDS}
