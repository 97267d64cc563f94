"""What is done to every token alike, in chunks of tokens, so that what it makes on the way is never whole in memory.

The backward pass computes a chunk again from its input. Kernels are gathered once for all chunks, and their gradients
reduced once: left to the compiler, each chunk would do both. B batch, T positions, D hidden, n tokens of a chunk, c
chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from baichuan_jax.model.spread import scattered
from baichuan_jax.parallel.layout import Layout

Kernels = dict[str, jax.Array]


class Split(NamedTuple):
    """How to cut.

    tokens: of a chunk, at most, on a device. axes: logical axes of the kernels, ((name, axes), ...). layout: of the
    arrays, if there are several devices.
    """

    tokens: int
    axes: tuple[tuple[str, tuple[str, ...]], ...]
    layout: Layout | None

    def parts(self, name: str) -> list[tuple[str, ...]]:
        """Return, for each dimension of a kernel, the mesh axes that split it and the tokens as well."""
        return [self.layout.fsdp_axes(axis) for axis in dict(self.axes)[name]]


@partial(jax.custom_vjp, nondiff_argnums=(0, 3))
def in_chunks(function: Callable, x_BTD: jax.Array, kernels: Kernels, split: Split) -> jax.Array:
    """Return function(x_nD, kernels) of all tokens, [B, T, D]."""
    return _over_devices(function, x_BTD, kernels, split)


def _forward(function: Callable, x_BTD: jax.Array, kernels: Kernels, split: Split) -> tuple:
    return _over_devices(function, x_BTD, kernels, split), (x_BTD, kernels)


def _backward(function: Callable, split: Split, kept: tuple, dy_BTD: jax.Array) -> tuple:
    return _over_devices(function, *kept, split, dy_BTD)


in_chunks.defvjp(_forward, _backward)


def _over_devices(
    function: Callable, x_BTD: jax.Array, kernels: Kernels, split: Split, dy_BTD: jax.Array | None = None
) -> jax.Array | tuple[jax.Array, Kernels]:
    """Return y, or with dy the gradients (dx, dkernels); every device chunks its own tokens."""
    if split.layout is None or not split.layout.splits_tokens:
        return _over_chunks(function, x_BTD, kernels, split.tokens, dy_BTD)
    axes = split.layout.token_axes

    def local(x_BTD: jax.Array, kernels: Kernels, dy_BTD: jax.Array | None) -> jax.Array | tuple[jax.Array, Kernels]:
        whole = {name: _gather(kernel, split.parts(name)) for name, kernel in kernels.items()}
        found = _over_chunks(function, x_BTD, whole, split.tokens, dy_BTD)
        if dy_BTD is None:
            return found
        return found[0], {name: scattered(grad, split.parts(name), axes) for name, grad in found[1].items()}

    tokens = split.layout.spec(("batch", "length"))
    specs = {name: PartitionSpec(*(here or None for here in split.parts(name))) for name in kernels}
    out_specs = tokens if dy_BTD is None else (tokens, specs)
    in_specs = (tokens, specs, None if dy_BTD is None else tokens)
    run = jax.shard_map(
        local, mesh=split.layout.mesh, in_specs=in_specs, out_specs=out_specs, axis_names=set(axes), check_vma=False
    )
    return run(x_BTD, kernels, dy_BTD)


def _gather(kernel: jax.Array, parts: list[tuple[str, ...]]) -> jax.Array:
    for dimension, axes in enumerate(parts):
        if axes:
            kernel = jax.lax.all_gather(kernel, axes, axis=dimension, tiled=True)
    return kernel


def _over_chunks(
    function: Callable, x_BTD: jax.Array, kernels: Kernels, most: int, dy_BTD: jax.Array | None
) -> jax.Array | tuple[jax.Array, Kernels]:
    """Return y, or with dy the gradients (dx, dkernels) of these tokens."""
    tokens, hidden = math.prod(x_BTD.shape[:-1]), x_BTD.shape[-1]
    count = max(1, -(-tokens // most))
    chunk = -(-tokens // count)  # as even as can be: the last one is filled up
    fill = count * chunk - tokens
    cut = lambda x_BTD: jnp.pad(x_BTD.reshape(-1, hidden), ((0, fill), (0, 0))).reshape(count, chunk, hidden)
    join = lambda x_cnD: x_cnD.reshape(-1, hidden)[:tokens].reshape(x_BTD.shape)
    if dy_BTD is None:
        return join(jax.lax.map(lambda x_nD: function(x_nD, kernels), cut(x_BTD)))

    def add(sums: Kernels, scanned: tuple[jax.Array, jax.Array]) -> tuple[Kernels, jax.Array]:
        x_nD, dy_nD = scanned
        dx_nD, more = jax.vjp(function, x_nD, kernels)[1](dy_nD)
        return jax.tree.map(lambda total, grad: total + grad.astype(jnp.float32), sums, more), dx_nD

    start = jax.tree.map(lambda kernel: jnp.zeros(kernel.shape, jnp.float32), kernels)
    sums, dx_cnD = jax.lax.scan(add, start, (cut(x_BTD), cut(dy_BTD)))
    # Reduced in the dtype that every gradient is in.
    return join(dx_cnD), jax.tree.map(lambda total, kernel: total.astype(kernel.dtype), sums, kernels)
