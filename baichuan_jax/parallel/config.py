"""Settings of the mesh and of the axis rules."""

from __future__ import annotations

from dataclasses import dataclass, fields

from baichuan_jax.core.errors import require

Axis = str | tuple[str, ...] | None


@dataclass(frozen=True)
class MeshConfig:
    """Sizes of the mesh axes; at most one is -1 and takes the devices that the others leave.

    data: replicas of the parameters. fsdp: ways the parameters and the batch are split together. context: ways the
    tokens of a sequence are split, and the parameters once more. tensor: ways heads, feed-forward and vocabulary are
    split.
    """

    data: int = 1
    fsdp: int = -1
    context: int = 1
    tensor: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            size = getattr(self, field.name)
            require(size == -1 or size > 0, f"MeshConfig.{field.name}", size, "a positive size, or -1 for the rest")
        require(self.sizes().count(-1) <= 1, "MeshConfig", self.sizes(), "at most one axis of size -1")

    def sizes(self) -> tuple[int, ...]:
        """Return the sizes in the order of the mesh axes."""
        return tuple(getattr(self, field.name) for field in fields(self))


AXES = tuple(field.name for field in fields(MeshConfig))


def mesh_axes(axis: Axis) -> tuple[str, ...]:
    """Return the mesh axes of a rule as a tuple, empty for None."""
    return () if axis is None else (axis,) if isinstance(axis, str) else tuple(axis)


@dataclass(frozen=True)
class AxisRules:
    """The mesh axis (or axes) that split each logical axis; None replicates it.

    batch: sequences of a batch. length: tokens of a sequence. hidden: of activations. layers: the stacked blocks.
    table_vocab: rows of the token table. table_embed: its columns. positions: learned ones. embed: the hidden size in
    kernels. heads: of queries, in kernels and activations. kv_heads: of keys and values, likewise. head_dim: inside of
    a head. mlp: the inner width of feed-forward layers. vocab: logits, and columns of the head. norm: scales of norms.
    """

    batch: Axis = ("data", "fsdp")
    length: Axis = "context"
    hidden: Axis = None
    layers: Axis = None
    # The token table is split by vector: vectors come together at a lookup, for less than the table where it is large.
    table_vocab: Axis = None
    table_embed: Axis = ("tensor", "fsdp", "context")
    positions: Axis = None
    embed: Axis = ("fsdp", "context")
    heads: Axis = "tensor"
    kv_heads: Axis = "tensor"
    head_dim: Axis = None
    mlp: Axis = "tensor"
    vocab: Axis = "tensor"
    norm: Axis = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            known = all(axis in AXES for axis in mesh_axes(value))
            require(known, f"AxisRules.{field.name}", value, f"None or mesh axes out of {', '.join(AXES)}")
