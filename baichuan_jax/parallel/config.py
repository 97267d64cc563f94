"""Settings of the mesh and of the axis rules."""

from __future__ import annotations

from dataclasses import dataclass, fields

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting

Axis = str | tuple[str, ...] | None


@dataclass(frozen=True)
class MeshConfig:
    """Sizes of the mesh axes; at most one is -1, which takes the remaining devices."""

    data: int = setting(1, "replicas of the parameters")
    fsdp: int = setting(-1, "number of shards of both the parameters and the batch")
    context: int = setting(1, "number of shards of the tokens of a sequence, and additionally of the parameters")
    tensor: int = setting(1, "number of shards of heads, feed-forward and vocabulary")

    def __post_init__(self) -> None:
        for field in fields(self):
            size = getattr(self, field.name)
            require(size == -1 or size > 0, f"MeshConfig.{field.name}", size, "a positive size, or -1 for the rest")
        require(self.sizes().count(-1) <= 1, "MeshConfig", self.sizes(), "at most one axis of size -1")

    def sizes(self) -> tuple[int, ...]:
        """Return the sizes in the order of the mesh axes."""
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class CompilationCacheConfig:
    """Where compiled programs are kept for the next process. JAX_COMPILATION_CACHE_DIR goes before it."""

    directory: str = setting("", "directory of compiled programs; empty: baichuan_jax/programs in the user's cache")
    max_bytes: int = setting(
        2 * 10**9, "maximum bytes in it; the least recently used programs are deleted first; 0 keeps none"
    )

    def __post_init__(self) -> None:
        require(self.max_bytes >= 0, "CompilationCacheConfig.max_bytes", self.max_bytes, "bytes, or 0 to keep none")


AXES = tuple(field.name for field in fields(MeshConfig))


def mesh_axes(axis: Axis) -> tuple[str, ...]:
    """Return the mesh axes of a rule as a tuple, empty for None."""
    return () if axis is None else (axis,) if isinstance(axis, str) else tuple(axis)


@dataclass(frozen=True)
class AxisRules:
    """The mesh axis (or axes) that shard each logical axis; None replicates it."""

    batch: Axis = setting(("data", "fsdp"), "sequences of a batch")
    length: Axis = setting("context", "tokens of a sequence")
    hidden: Axis = setting(None, "hidden size of activations")
    layers: Axis = setting(None, "the stacked blocks")
    table_vocab: Axis = setting(None, "rows of the token table")
    # The token table is sharded by columns: a lookup exchanges vectors, which are smaller than a large table.
    table_embed: Axis = setting(("tensor", "fsdp", "context"), "columns of the token table")
    positions: Axis = setting(None, "rows of the table of learned positions")
    embed: Axis = setting(("fsdp", "context"), "hidden size in weight matrices")
    heads: Axis = setting("tensor", "query heads, in weight matrices and activations")
    kv_heads: Axis = setting("tensor", "key/value heads, likewise")
    head_dim: Axis = setting(None, "width of a head")
    mlp: Axis = setting("tensor", "inner width of feed-forward layers")
    vocab: Axis = setting("tensor", "logits, and columns of the head")
    norm: Axis = setting(None, "scales of norms")
    lora_rank: Axis = setting(None, "rank of adapters")

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            known = all(axis in AXES for axis in mesh_axes(value))
            require(known, f"AxisRules.{field.name}", value, f"None or mesh axes out of {', '.join(AXES)}")
