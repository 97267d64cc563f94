"""Strategies to sum the gradients of FSDP-sharded weights over devices: `STRATEGIES` is the table.

By default XLA all-gathers the weights and reduce-scatters their gradients. Where libtpu would all-reduce instead, which
sends twice the bytes, the reduce-scatter over the inner mesh axes is written out here.

B batch, T positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from baichuan_jax.parallel.config import mesh_axes
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.permutes import is_possible, scatter_sum

WeightStrategy = Literal["xla", "staged"]


class Sharded(NamedTuple):
    """A weight on a mesh, by its logical axes; FSDP shards "embed"."""

    layout: Layout
    axes: tuple[str, ...]

    @property
    def dimension(self) -> int:
        """The dimension of "embed"."""
        return self.axes.index("embed")

    @property
    def fsdp_axes(self) -> tuple[str, ...]:
        """The mesh axes with several devices that shard both the weight and the tokens, outermost first."""
        return tuple(axis for axis in self.layout.fsdp_axes("embed") if self.layout.mesh.shape[axis] > 1)


def _gradient_by_xla(x: jax.Array, dy: jax.Array, weight: Sharded) -> jax.Array:
    return jnp.tensordot(x, dy, ((0, 1), (0, 1)))


def _staged_gradient(x: jax.Array, dy: jax.Array, weight: Sharded) -> jax.Array:
    """Let XLA reduce-scatter over the outermost FSDP axis, and use permutes over the others.

    Over several axes at once, libtpu would all-reduce.
    """
    outer, inner = weight.fsdp_axes[:1], weight.fsdp_axes[1:]
    if not inner:
        return _gradient_by_xla(x, dy, weight)
    layout, dimension = weight.layout, weight.dimension
    mesh, rules = layout.mesh, layout.rules
    outer_size = math.prod(mesh.shape[axis] for axis in outer)

    def on_device(x: jax.Array, dy: jax.Array) -> jax.Array:
        grad = _gradient_by_xla(x, dy, weight)
        partition = [outer if axis == "embed" else getattr(rules, axis) for axis in weight.axes]
        grad = jax.lax.with_sharding_constraint(grad, PartitionSpec(*partition))
        # Without a barrier, XLA merges the slices of the permutes with that of the reduce-scatter and all-reduces.
        grad = jax.lax.optimization_barrier(grad)
        shape = grad.shape
        grad = grad.reshape(*shape[:dimension], outer_size, -1, *shape[dimension + 1 :])
        for axis in inner:
            grad = scatter_sum(grad, axis, dimension + 1)
        return grad

    of_inner = lambda rule: tuple(axis for axis in mesh_axes(rule) if axis in inner)
    by_token = PartitionSpec(of_inner(rules.batch), of_inner(rules.length))
    grad = jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(by_token, by_token),
        out_specs=PartitionSpec(*[None] * (dimension + 1), inner),
        axis_names=set(inner),
        check_vma=False,
    )(x, dy)
    grad = grad.reshape(*grad.shape[:dimension], -1, *grad.shape[dimension + 2 :])
    return layout.constrain(grad, *weight.axes)


# strategy: (x [B, T, *in], dy [B, T, *out], weight) -> the weight's gradient x^T dy, summed over devices
STRATEGIES: dict[WeightStrategy, Callable[[jax.Array, jax.Array, Sharded], jax.Array]] = {
    "xla": _gradient_by_xla,
    "staged": _staged_gradient,
}
assert tuple(STRATEGIES) == get_args(WeightStrategy)


def choose_strategy(hidden: int, layout: Layout) -> WeightStrategy:
    """Return the strategy for weights of this hidden size: "staged" on a TPU whose FSDP spans several mesh axes."""
    token_axes = [axis for axis in layout.token_axes if layout.mesh.shape[axis] > 1]
    sizes = [layout.mesh.shape[axis] for axis in token_axes]
    divides = all(map(is_possible, sizes)) and hidden % math.prod(sizes) == 0
    over_several = len(token_axes) > 1 and set(token_axes) <= set(mesh_axes(layout.rules.embed))
    return "staged" if layout.platform == "tpu" and divides and over_several else "xla"


def reduce_gradient(grad: jax.Array, split: Sequence[tuple[str, ...]], axes: tuple[str, ...]) -> jax.Array:
    """Return a weight's gradient summed over mesh axes, for use inside `shard_map`.

    split: for each dimension, the axes over which it is scattered.
    """
    for dimension, own in enumerate(split):
        for axis in own:  # over several axes at once, libtpu all-reduces
            grad = jax.lax.psum_scatter(grad, axis, scatter_dimension=dimension, tiled=True)
    rest = tuple(axis for axis in axes if not any(axis in own for own in split))
    return jax.lax.psum(grad, rest) if rest else grad
