"""Reduce-scatter over one mesh axis by permutes, for use inside `shard_map`.

A chip without a core for collectives overlaps only one reduce-scatter at a time with a matrix product. A permute is a
copy, which overlaps with any work. Recursive halving (Thakur, Rabenseifner, Gropp 2005) takes log2(axis_size) permutes
and sends as many bytes as a ring; the largest messages go to the nearest neighbours.
"""

from __future__ import annotations

import jax


def is_possible(axis_size: int) -> bool:
    """Return whether the number of devices is supported: a power of 2."""
    return axis_size & (axis_size - 1) == 0


def scatter_sum(x: jax.Array, axis: str, dimension: int) -> jax.Array:
    """Compute `lax.psum_scatter(x, axis, scatter_dimension=dimension, tiled=True)`.

    A sum is rounded log2(axis_size) times; a ring rounds it axis_size - 1 times.
    """
    axis_size, own = jax.lax.axis_size(axis), jax.lax.axis_index(axis)
    x = _cut(x, dimension, axis_size)
    step = 1
    while step < axis_size:
        pairs = _cut(x, dimension, x.shape[dimension] // 2)  # by bit `step` of the destination device
        take = lambda bit, pairs=pairs: jax.lax.dynamic_index_in_dim(pairs, bit, dimension + 1, keepdims=False)
        bit = (own // step) % 2
        other = jax.lax.ppermute(take(1 - bit), axis, _pairs(axis_size, step))
        x = take(bit) + other
        step *= 2
    return _merged(x, dimension)


def _pairs(axis_size: int, step: int) -> list[tuple[int, int]]:
    return [(device, device ^ step) for device in range(axis_size)]


def _cut(x: jax.Array, dimension: int, parts: int) -> jax.Array:
    return x.reshape(*x.shape[:dimension], parts, -1, *x.shape[dimension + 1 :])


def _merged(x: jax.Array, dimension: int) -> jax.Array:
    return x.reshape(*x.shape[:dimension], -1, *x.shape[dimension + 2 :])
