"""Axis rules: array dimensions have logical names, and one table maps each name to the mesh axes that shard it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from baichuan_jax.core.errors import UserError
from baichuan_jax.parallel.config import AxisRules, mesh_axes

LogicalAxes = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A mesh with axis rules: maps logical axis names to shardings. Hashable, so it can be a static argument."""

    mesh: Mesh
    rules: AxisRules

    def spec(self, axes: LogicalAxes) -> PartitionSpec:
        """Return the partition of an array with these logical axes. Raise UserError if a mesh axis repeats."""
        spec = [getattr(self.rules, axis) for axis in axes]
        used = [name for axis in spec for name in mesh_axes(axis)]
        if len(used) != len(set(used)):
            raise UserError(
                f"AxisRules shard an array with axes {axes} as {spec}: a mesh axis can shard only one dimension of an "
                "array; map one of these logical axes to another mesh axis or to None"
            )
        return PartitionSpec(*spec)

    def sharding(self, axes: LogicalAxes, shape: Sequence[int] | None = None) -> NamedSharding:
        """Return the sharding of an array. With `shape`, raise UserError if a dimension is not divisible."""
        spec = self.spec(axes)
        for axis, size, mesh_axis in zip(axes, shape or (), spec):
            num_shards = self.num_shards(axis)
            if size % num_shards:
                raise UserError(
                    f"logical axis {axis!r} of size {size} is not divisible by the {num_shards} devices of mesh axis "
                    f"{mesh_axis!r}; change MeshConfig, or set AxisRules.{axis} = None to replicate it"
                )
        return NamedSharding(self.mesh, spec)

    def constrain(self, array: jax.Array, *axes: str) -> jax.Array:
        """Constrain the sharding of an activation."""
        return jax.lax.with_sharding_constraint(array, self.sharding(axes))

    def shardings(self, axes: Any, shapes: Any) -> Any:
        """Map a tree of logical axes and the same tree of shapes to shardings."""
        is_axes = lambda node: isinstance(node, tuple)
        return jax.tree.map(lambda axis, x: self.sharding(axis, x.shape), axes, shapes, is_leaf=is_axes)

    @property
    def replicated(self) -> NamedSharding:
        """The sharding of a replicated value."""
        return NamedSharding(self.mesh, PartitionSpec())

    def num_shards(self, axis: str) -> int:
        """Return the number of shards of a logical axis."""
        return math.prod(self.mesh.shape[name] for name in mesh_axes(getattr(self.rules, axis)))

    @property
    def platform(self) -> str:
        """cpu, gpu or tpu."""
        name = self.mesh.devices.flat[0].platform
        return "gpu" if name in ("cuda", "rocm") else name

    @property
    def token_axes(self) -> tuple[str, ...]:
        """The mesh axes that shard tokens."""
        return mesh_axes(self.rules.batch) + mesh_axes(self.rules.length)

    @property
    def splits_tokens(self) -> bool:
        """Whether tokens are sharded at all.

        If not, do not `shard_map` over the token axes: XLA fails to compile collectives over axes of size one if
        another axis has several devices.
        """
        return any(self.mesh.shape[axis] > 1 for axis in self.token_axes)

    def tensor_axes(self, axis: str) -> tuple[str, ...]:
        """Return the mesh axes that shard a logical axis and not the tokens."""
        return tuple(name for name in mesh_axes(getattr(self.rules, axis)) if name not in self.token_axes)

    def fsdp_axes(self, axis: str) -> tuple[str, ...]:
        """Return the mesh axes that shard both a logical axis and the tokens, outermost first."""
        return tuple(name for name in mesh_axes(getattr(self.rules, axis)) if name in self.token_axes)

    @property
    def by_rows(self) -> Layout:
        """The same layout with whole sequences: for evaluation and generation, whose sequences have any length."""
        return replace(self, rules=replace(self.rules, batch=self.token_axes, length=None))

    def by_heads(self, heads: str) -> PartitionSpec:
        """Return the partition of [batch, length, heads, ...] with the context axis on heads instead of length."""
        rules = self.rules
        return PartitionSpec(rules.batch, None, mesh_axes(getattr(rules, heads)) + mesh_axes(rules.length))

    @property
    def batch_shards(self) -> int:
        """Number of shards of the batch dimension."""
        return self.num_shards("batch")
