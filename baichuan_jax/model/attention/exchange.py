"""Attention over sequences that are split over devices: exchange tokens for heads, and back.

An all-to-all before and after attention gives every device whole sequences for some of the heads (DeepSpeed Ulysses,
Jacobs et al., arXiv 2309.14509). So every implementation, pattern and position scheme is the same as on one device. The
devices have equal work, while a causal mask split by tokens would give the last device the most. B batch, T positions,
N heads, H head size.
"""

from __future__ import annotations

from functools import partial

import jax

from baichuan_jax.parallel.config import mesh_axes
from baichuan_jax.parallel.layout import Layout


def to_heads(x_BTNH: jax.Array, heads: str, layout: Layout) -> jax.Array:
    """Split heads instead of tokens. heads: their logical axis."""
    return _exchange(x_BTNH, heads, layout, back=False)


def to_tokens(x_BTNH: jax.Array, heads: str, layout: Layout) -> jax.Array:
    """Split tokens instead of heads; undoes `to_heads`."""
    return _exchange(x_BTNH, heads, layout, back=True)


def _exchange(x_BTNH: jax.Array, heads: str, layout: Layout, back: bool) -> jax.Array:
    by_tokens, by_heads = layout.spec(("batch", "length", heads)), layout.by_heads(heads)
    source, target, split, join = (by_heads, by_tokens, 1, 2) if back else (by_tokens, by_heads, 2, 1)
    axes = mesh_axes(layout.rules.length)
    swap = partial(jax.lax.all_to_all, axis_name=axes, split_axis=split, concat_axis=join, tiled=True)
    return jax.shard_map(swap, mesh=layout.mesh, in_specs=source, out_specs=target, check_vma=False)(x_BTNH)
