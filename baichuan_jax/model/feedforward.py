"""The feed-forward layer, gated or not, without biases; `FEED_FORWARDS` is the table.

B batch, T positions, D hidden, F feed-forward inner.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from baichuan_jax.model.chunks import Chunks, Weights, chunk_size, num_model_shards, run_in_chunks
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.execution import Execution, matmul
from baichuan_jax.model.layers import weight


class Kind(NamedTuple):
    """activation(x up) down, or with a gate (activation(x gate) * (x up)) down."""

    activation: Callable[[jax.Array], jax.Array]
    gated: bool


_gelu = partial(jax.nn.gelu, approximate=False)

# "relu2" is the squared ReLU of Primer (So et al., arXiv 2109.08668); the gated ones are those of "GLU Variants Improve
# Transformer" (Shazeer, arXiv 2002.05202).
FEED_FORWARDS = {
    "relu": Kind(jax.nn.relu, gated=False),
    "gelu": Kind(_gelu, gated=False),
    "silu": Kind(jax.nn.silu, gated=False),
    "relu2": Kind(lambda x: jnp.square(jax.nn.relu(x)), gated=False),
    "glu": Kind(jax.nn.sigmoid, gated=True),
    "bilinear": Kind(lambda x: x, gated=True),
    "reglu": Kind(jax.nn.relu, gated=True),
    "geglu": Kind(_gelu, gated=True),
    "swiglu": Kind(jax.nn.silu, gated=True),
}


def inner_size(cfg: DecoderConfig) -> int:
    """Return the inner width; if the config sets 0, the width with equal parameters for every kind."""
    return cfg.inner or cfg.hidden // 32 * (86 if FEED_FORWARDS[cfg.feed_forward].gated else 129)


class FeedForward(nnx.Module):
    """The feed-forward layer of any kind in the table."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.kind, inner = cfg.feed_forward, inner_size(cfg)
        self.names = ("gate", "up", "down") if FEED_FORWARDS[self.kind].gated else ("up", "down")
        if FEED_FORWARDS[self.kind].gated:
            self.gate = weight(rngs, cfg.init_std, embed=cfg.hidden, mlp=inner)
        self.up = weight(rngs, cfg.init_std, embed=cfg.hidden, mlp=inner)
        self.down = weight(rngs, cfg.init_std, mlp=inner, embed=cfg.hidden)

    def __call__(self, x_BTD: jax.Array, exe: Execution) -> jax.Array:
        """Return the layer's output; with `exe.inner_bytes` set, in chunks of tokens."""
        if exe.inner_bytes:
            weights = {name: getattr(self, name)[...].astype(x_BTD.dtype) for name in self.names}
            inner = self.down.shape[0] // num_model_shards(exe.layout, "mlp")
            axes = tuple((name, getattr(self, name).get_metadata("axes")) for name in self.names)
            chunks = Chunks(chunk_size(exe.inner_bytes, x_BTD.dtype.itemsize * inner), axes, exe.layout)
            y_BTD = _in_chunks(self.kind, chunks, x_BTD, weights)
        else:
            times = lambda x, name: exe.matmul(x, getattr(self, name))
            widened = lambda inner_BTF: exe.constrain(inner_BTF, "batch", "length", "mlp")
            y_BTD = _compute(self.kind, x_BTD, times, widened)
        return exe.constrain(y_BTD, "batch", "length", "hidden")


def _compute(
    kind: str,
    x: jax.Array,
    times: Callable[[jax.Array, str], jax.Array],
    widened: Callable[[jax.Array], jax.Array] = lambda inner: inner,
) -> jax.Array:
    """Return the layer's output. times(x, name): x times a weight. widened: applied to arrays of the inner width."""
    activation, gated = FEED_FORWARDS[kind]
    wide = lambda x: x.astype(jnp.float32)

    @partial(jax.checkpoint, prevent_cse=False)  # it costs less to compute again than to keep
    def activate(gate: jax.Array | None, up: jax.Array) -> jax.Array:
        inner = activation(wide(gate)) * wide(up) if gated else activation(wide(up))
        return inner.astype(up.dtype)

    up = widened(times(x, "up"))
    inner = activate(widened(times(x, "gate")) if gated else None, up)
    return times(inner, "down")


def _of_chunk(kind: str, x_nD: jax.Array, weights: Weights) -> jax.Array:
    return _compute(kind, x_nD, lambda x, name: matmul(x, weights[name]))


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _in_chunks(kind: str, chunks: Chunks, x_BTD: jax.Array, weights: Weights) -> jax.Array:
    """Return the layer's output; the backward pass recomputes a chunk from its input."""

    def step(x_nD: jax.Array, weights: Weights) -> tuple[jax.Array, Weights, tuple]:
        return _of_chunk(kind, x_nD, weights), {}, ()

    return run_in_chunks(step, x_BTD, weights, chunks, gradients=False)[0]


def _chunk_gradients(
    kind: str, chunks: Chunks, saved: tuple[jax.Array, Weights], dy_BTD: jax.Array
) -> tuple[jax.Array, Weights]:
    def step(tokens: tuple[jax.Array, jax.Array], weights: Weights) -> tuple[jax.Array, Weights, tuple]:
        x_nD, dy_nD = tokens
        dx_nD, grads = jax.vjp(partial(_of_chunk, kind), x_nD, weights)[1](dy_nD)
        return dx_nD, jax.tree.map(lambda grad: grad.astype(jnp.float32), grads), ()

    x_BTD, weights = saved
    dx_BTD, grads, _ = run_in_chunks(step, (x_BTD, dy_BTD), weights, chunks, gradients=True)
    return dx_BTD, jax.tree.map(lambda grad, weight: grad.astype(weight.dtype), grads, weights)


_in_chunks.defvjp(
    lambda kind, chunks, x_BTD, weights: (_in_chunks(kind, chunks, x_BTD, weights), (x_BTD, weights)), _chunk_gradients
)
