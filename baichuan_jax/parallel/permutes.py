"""Reduce-scatter over one axis of the mesh by permutes: for inside of `shard_map`.

A chip without a core for collectives runs a reduce-scatter beside a matrix product or not at all, one at a time. A
permute is a copy, which any work may run beside. It takes log2(axis_size) of them (recursive halving, Thakur,
Rabenseifner, Gropp 2005) and sends as many bytes as a ring; the largest messages go to the nearest neighbours.
"""

from __future__ import annotations

import jax


def is_possible(axis_size: int) -> bool:
    """Whether as many devices can do this: a power of 2."""
    return axis_size & (axis_size - 1) == 0


def scatter_sum(x: jax.Array, axis: str, dimension: int) -> jax.Array:
    """Return what `lax.psum_scatter(x, axis, scatter_dimension=dimension, tiled=True)` does.

    A sum is rounded log2(axis_size) times, where a ring rounds it axis_size - 1 times.
    """
    axis_size, own = jax.lax.axis_size(axis), jax.lax.axis_index(axis)
    x = _cut(x, dimension, axis_size)
    step = 1
    while step < axis_size:
        pairs = _cut(x, dimension, x.shape[dimension] // 2)  # by the bit of `step` of the device that they are for
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
