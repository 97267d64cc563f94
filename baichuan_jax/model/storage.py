"""Storage of weights and cache for decoding: compute dtype, bfloat16, or int8 with scales.

Every token reads all weights and the whole cache of its row, so decoding on an accelerator is bound by their bytes.
int8 is qwix's: symmetric, with 127 for the largest magnitude of a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from qwix import QArray, dequantize, quantize

from baichuan_jax.model.config import DecoderConfig, Storage

StoredWeight = jax.Array | QArray


@partial(jax.tree_util.register_dataclass, data_fields=("weight", "down", "up", "key"), meta_fields=("scale", "drop"))
@dataclass(frozen=True)
class Adapted:
    """A frozen weight [*in, *out], and what LoRA adds to it: scale * down [*in, r] @ up [r, *out].

    key: of the dropout of the adapter's input; None: no dropout. drop: share of that input that is dropped.
    """

    weight: StoredWeight
    down: jax.Array
    up: jax.Array
    key: jax.Array | None
    scale: float
    drop: float


OUTPUTS = {"query": 2, "key": 2, "value": 2, "output": 1, "gate": 1, "up": 1, "down": 1}  # axes that are not summed


def float_type(storage: Storage, dtype: jnp.dtype) -> jnp.dtype:
    """Return the dtype of arrays that are not int8. dtype: of the computation."""
    return jnp.dtype(jnp.bfloat16) if storage == "bfloat16" else dtype


def store_block(block: dict, storage: Storage, dtype: jnp.dtype) -> dict:
    """Return a layer's parameters with weights in the storage, one scale per output."""

    def store(path: tuple, leaf: jax.Array) -> jax.Array | QArray:
        name = path[-1].key
        if name not in OUTPUTS:
            return leaf  # norms are computed in float32
        if storage == "int8":
            outputs = range(leaf.ndim - OUTPUTS[name], leaf.ndim)
            return quantize(leaf, jnp.int8, channelwise_axes=tuple(outputs))
        return leaf.astype(float_type(storage, dtype))

    return jax.tree_util.tree_map_with_path(store, block)


def store_tables(params: dict, cfg: DecoderConfig, storage: Storage, dtype: jnp.dtype) -> dict:
    """Return the parameters outside the blocks, stored in floating point, as they decide the tokens.

    The norm stays float32. So do a normalised head and the table it is tied to, whose column norms are computed in
    float32.
    """
    kept = {"norm", *(("kernel", "table") if cfg.head.normalised else ())}

    def cast(path: tuple, leaf: jax.Array) -> jax.Array:
        names = {key.key for key in path}
        is_position = path[0].key == "positions"
        return leaf if names & kept and not is_position else leaf.astype(float_type(storage, dtype))

    return jax.tree_util.tree_map_with_path(cast, params)


def multiply_stored(x: jax.Array, weight: QArray, axes: int) -> jax.Array:
    """Return x [..., *in] times a weight [*in, *out] of integers; `in` has `axes` axes. Scales belong to outputs."""
    y = jnp.tensordot(x, weight.qvalue.astype(x.dtype), axes)
    return y * weight.scale.reshape(weight.shape[axes:]).astype(x.dtype)


def empty(module, shape: tuple[int, ...], storage: Storage, dtype: jnp.dtype) -> jax.Array | QArray:
    """Return zeros for keys or values [..., H], with one scale each. module: numpy, or jax.numpy in a program."""
    if storage == "int8":
        return QArray(module.zeros(shape, jnp.int8), module.ones((*shape[:-1], 1), dtype))
    return module.zeros(shape, float_type(storage, dtype))


def stored(x: jax.Array, like: jax.Array | QArray) -> jax.Array | QArray:
    """Return keys or values [..., H] in the form of a cache."""
    if isinstance(like, QArray):
        return quantize(x, jnp.int8, channelwise_axes=tuple(range(x.ndim - 1)))
    return x.astype(like.dtype)


def restored(x: jax.Array | QArray, dtype: jnp.dtype) -> jax.Array:
    """Return keys or values of a cache in the compute dtype."""
    return (dequantize(x) if isinstance(x, QArray) else x).astype(dtype)
