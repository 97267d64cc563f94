"""Kernels that are split over the devices that share the tokens: how they come together, and their gradients apart.

XLA does both by itself. On a chip that runs a gather or a reduce-scatter only beside a matrix product, one at a time,
it runs out of products: some wait. What is here sends those by permutes, which run beside anything, and leaves the
compiler those that it hides. B batch, T positions, D hidden, n devices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from baichuan_jax.parallel.config import mesh_axes
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.permutes import gather, scatter_sum

# Who sends kernels and their gradients: the compiler; it and permutes, over one mesh axis after the other; or these,
# and permutes alone for what a layer begins with and for the head, which come a layer ahead.
Sending = Literal["compiler", "staged", "ahead"]


class Spread(NamedTuple):
    """How a kernel lies on the mesh.

    axes: its logical axes; "embed" is the one that all mesh axes split which split tokens. late: whether its gradient
    is summed by permutes alone: of one that comes last in the backward pass, with no products left to hide the sum.
    """

    layout: Layout
    axes: tuple[str, ...]
    late: bool = False

    @property
    def dimension(self) -> int:
        """That of "embed"."""
        return self.axes.index("embed")

    @property
    def split(self) -> tuple[str, ...]:
        """The mesh axes that split it and the tokens, the outermost first."""
        return tuple(axis for axis in self.layout.fsdp_axes("embed") if self.layout.mesh.shape[axis] > 1)

    def of_tokens(self, axes: tuple[str, ...]) -> PartitionSpec:
        """Return the partition of [batch, length, ...] by some of the mesh axes."""
        among = lambda rule: tuple(axis for axis in mesh_axes(rule) if axis in axes)
        return PartitionSpec(among(self.layout.rules.batch), among(self.layout.rules.length))

    def of_kernel(self, axes: tuple[str, ...], dimension: int) -> PartitionSpec:
        """Return the partition of an array of which one dimension is split by some of the mesh axes."""
        return PartitionSpec(*[None] * dimension, axes)


def reduced(x: jax.Array, dy: jax.Array, spread: Spread) -> jax.Array:
    """Return the gradient of a kernel in the product of x [B, T, *in] with it, [B, T, *out]: x^T dy, summed.

    The compiler reduce-scatters over the first axis that splits the kernel, beside products; over all at once libtpu
    would all-reduce, which is twice the bytes and waits. Over the others it is summed here, and a late one over all.
    """
    own, dimension = () if spread.late else spread.split[:1], spread.dimension
    by_hand = spread.split[len(own) :]
    leading = ((0, 1), (0, 1))
    if not by_hand:
        return jnp.tensordot(x, dy, leading)
    mesh, rules = spread.layout.mesh, spread.layout.rules

    def local(x: jax.Array, dy: jax.Array) -> jax.Array:
        kernel = jnp.tensordot(x, dy, leading)
        outer = math.prod(mesh.shape[axis] for axis in own)
        if own:
            parts = [own if axis == "embed" else getattr(rules, axis) for axis in spread.axes]
            kernel = jax.lax.with_sharding_constraint(kernel, PartitionSpec(*parts))
            # Or the slices of the permutes and that of the reduce-scatter are made one, and an all-reduce is left.
            kernel = jax.lax.optimization_barrier(kernel)
        shape = kernel.shape
        kernel = kernel.reshape(*shape[:dimension], outer, -1, *shape[dimension + 1 :])
        return _summed(kernel, by_hand, dimension + 1)

    tokens = spread.of_tokens(by_hand)
    kernel = jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(tokens, tokens),
        out_specs=spread.of_kernel(by_hand, dimension + 1),
        axis_names=set(by_hand),
        check_vma=False,
    )(x, dy)
    kernel = kernel.reshape(*kernel.shape[:dimension], -1, *kernel.shape[dimension + 2 :])
    return spread.layout.constrain(kernel, *spread.axes)


def scattered(grad: jax.Array, parts: Sequence[tuple[str, ...]], axes: tuple[str, ...]) -> jax.Array:
    """Return the gradient of a kernel summed over mesh axes: for inside of `shard_map`.

    parts: of every dimension the axes among these along which each device keeps its part.
    """
    for dimension, here in enumerate(parts):
        for axis in here:  # one after the other, or libtpu all-reduces
            grad = jax.lax.psum_scatter(grad, axis, scatter_dimension=dimension, tiled=True)
    rest = tuple(axis for axis in axes if not any(axis in here for here in parts))
    return jax.lax.psum(grad, rest) if rest else grad


def _summed(kernel: jax.Array, axes: tuple[str, ...], dimension: int) -> jax.Array:
    """Sum over these mesh axes, and leaves each device its part."""
    for axis in axes:
        kernel = scatter_sum(kernel, axis, dimension)
    return kernel


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def whole(kernel: jax.Array, spread: Spread) -> jax.Array:
    """Return the kernel whole on every device. Its gradient has to come as `reduced` returns it: summed, and split."""
    return _collect(kernel, spread)[0]


whole.defvjp(lambda kernel, spread: (whole(kernel, spread), None), lambda spread, _, dkernel: (dkernel,))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def copies(kernel: jax.Array, spread: Spread) -> jax.Array:
    """Return the kernel whole on every device, [n, *kernel]: each holds the copy that is its own.

    The gradients of the copies, that of every device its own, are summed on the way back.
    """
    return _collect(kernel, spread, spread.layout.token_axes)


def _collect(kernel: jax.Array, spread: Spread, devices: tuple[str, ...] = ()) -> jax.Array:
    """Return [n, *kernel] with the copies of these axes apart; without any, [1, *kernel]."""

    def local(kernel: jax.Array) -> jax.Array:
        for axis in reversed(spread.split):
            kernel = gather(kernel, axis, spread.dimension)
        return kernel[None]

    parts = spread.of_kernel(spread.split, spread.dimension)
    return _over_devices(local, spread, parts, PartitionSpec(devices))(kernel)


def _distribute(spread: Spread, _: None, dcopies: jax.Array) -> tuple[jax.Array]:
    local = lambda dcopy: _summed(dcopy[0], spread.split, spread.dimension)
    parts = spread.of_kernel(spread.split, spread.dimension)
    return (_over_devices(local, spread, PartitionSpec(spread.layout.token_axes), parts)(dcopies),)


copies.defvjp(lambda kernel, spread: (copies(kernel, spread), None), _distribute)


def _over_devices(local: Callable, spread: Spread, in_specs: Any, out_specs: Any) -> Callable:
    mesh, names = spread.layout.mesh, set(spread.layout.token_axes)
    return jax.shard_map(local, mesh=mesh, in_specs=in_specs, out_specs=out_specs, axis_names=names, check_vma=False)
