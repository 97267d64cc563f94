"""Token-wise computation in chunks of tokens, which bounds the memory of intermediate arrays.

Weights are gathered once for all chunks, and their gradients reduced once. Left to XLA, a loop over chunks under FSDP
gathers and reduces in every chunk. The first user is the loss (loss.py), the second the feed-forward layer.

B batch, T positions, n tokens of a chunk, c chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.weights import reduce_gradient

Weights = dict[str, jax.Array]
# step(tokens of a chunk, weights) -> (values for each token, gradients of weights in float32, sums of the chunk)
Step = Callable[[Any, Weights], tuple[Any, Weights, Any]]


class Chunks(NamedTuple):
    """Chunk size and sharding of the weights.

    tokens: maximum tokens of a chunk per device. axes: logical axes of each weight, as ((name, axes), ...). layout:
    None on one device.
    """

    tokens: int
    axes: tuple[tuple[str, tuple[str, ...]], ...]
    layout: Layout | None

    def fsdp_axes(self, name: str) -> list[tuple[str, ...]]:
        """Return, for each dimension of a weight, the mesh axes that split both it and the tokens."""
        return [self.layout.fsdp_axes(axis) for axis in dict(self.axes)[name]]


def run_in_chunks(
    step: Step, tokens: Any, weights: Weights, chunks: Chunks, gradients: bool
) -> tuple[Any, Weights, Any]:
    """Run `step` over chunks of tokens; return (values per token, weight gradients, sums).

    tokens: a tree of arrays [B, T, ...]; the values have the same leading axes. gradients: whether the step returns
    those of all weights instead of {}. Gradients and sums are added up over chunks and devices. Gradients are float32
    on one device; over several they are reduced in the dtype of the weight, as all other gradients are, except on CPUs.
    """
    layout = chunks.layout
    if layout is None or not layout.splits_tokens:
        return _scan_chunks(step, tokens, weights, chunks.tokens)
    axes = layout.token_axes

    def on_device(tokens: Any, weights: Weights) -> tuple[Any, Weights, Any]:
        values, grads, sums = _scan_chunks(step, tokens, weights, chunks.tokens)
        if layout.platform != "cpu":  # XLA for CPU aborts at a `psum` of bfloat16
            grads = {name: grad.astype(weights[name].dtype) for name, grad in grads.items()}
        reduced = {name: reduce_gradient(grad, chunks.fsdp_axes(name), axes) for name, grad in grads.items()}
        return values, reduced, jax.lax.psum(sums, axes)

    by_token = layout.spec(("batch", "length"))
    by_weight = {name: PartitionSpec(*(split or None for split in chunks.fsdp_axes(name))) for name in weights}
    whole = PartitionSpec()  # XLA gathers the weights, before the chunks
    out_specs = (by_token, by_weight if gradients else {}, whole)
    return jax.shard_map(
        on_device,
        mesh=layout.mesh,
        in_specs=(by_token, whole),
        out_specs=out_specs,
        axis_names=set(axes),
        check_vma=False,
    )(tokens, weights)


def _scan_chunks(step: Step, tokens: Any, weights: Weights, most: int) -> tuple[Any, Weights, Any]:
    """Run `step` over chunks of at most `most` tokens of one device; one chunk needs no loop."""
    batch, length = jax.tree.leaves(tokens)[0].shape[:2]
    total = batch * length
    count = max(1, -(-total // most))
    size = -(-total // count)  # chunks of equal size: the last one is filled up with zeros
    fill = count * size - total
    join = lambda x: x.reshape(-1, *x.shape[2:])[:total].reshape(batch, length, *x.shape[2:])

    def cut(x_BT: jax.Array) -> jax.Array:
        flat = x_BT.reshape(total, *x_BT.shape[2:])
        return jnp.pad(flat, [(0, fill)] + [(0, 0)] * (flat.ndim - 1)).reshape(count, size, *flat.shape[1:])

    tokens_cn = jax.tree.map(cut, tokens)
    if count == 1:
        values, grads, sums = step(jax.tree.map(lambda x: x[0], tokens_cn), weights)
        return jax.tree.map(lambda x: join(x[None]), values), grads, sums

    def add(totals: tuple[Weights, Any], tokens_n: Any) -> tuple[tuple[Weights, Any], Any]:
        values, grads, sums = step(tokens_n, weights)
        return jax.tree.map(jnp.add, totals, (grads, sums)), values

    shapes = jax.eval_shape(step, jax.tree.map(lambda x: x[0], tokens_cn), weights)[1:]
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    (grads, sums), values = jax.lax.scan(add, zeros, tokens_cn)
    return jax.tree.map(join, values), grads, sums


def chunk_size(limit_bytes: int, bytes_per_token: int) -> int:
    """Return the number of tokens of this many bytes that fit a limit, at least one."""
    return max(1, limit_bytes // bytes_per_token)


def num_model_shards(layout: Layout | None, axis: str) -> int:
    """Return the number of shards of a logical axis over mesh axes that do not split tokens."""
    return 1 if layout is None else math.prod(layout.mesh.shape[name] for name in layout.tensor_axes(axis))
