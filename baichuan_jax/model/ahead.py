"""The loop over layers, in which a layer's first kernel and the head come while the layers before them compute.

Before its first product a layer has nothing to do but wait for that product's kernel: so a step of the loop has it from
the step before, and keeps it until the backward pass (at 7 billion parameters 1 GiB in bfloat16). The head comes in as
many parts as there are layers. D hidden, V vocabulary, L layers, n devices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.spread import Spread, copies, whole
from baichuan_jax.parallel.layout import Layout

QUERY, HEAD = ("embed", "heads", "head_dim"), ("embed", "vocab")


def comes_in_parts(cfg: DecoderConfig, layout: Layout) -> bool:
    """Whether the head is a parameter of its own, and its vocabulary can be cut into as many parts as layers."""
    plain = not cfg.head.tied and not cfg.head.normalised
    return plain and cfg.vocab % cfg.layers == 0 and layout.num_shards("vocab") == 1


def through(
    scan: Callable[..., tuple[Any, Any]],
    layer: Callable[..., tuple[jax.Array, None]],
    x_BTD: jax.Array,
    blocks: dict[str, Any],
    head_DV: jax.Array | None,
    layout: Layout,
) -> tuple[jax.Array, jax.Array | None]:
    """Return the output of the layers, and copies_nDV of the head if one is given.

    scan(step, carry, stacked): runs step(pattern, carry, *part) over the layers of `stacked`. layer: one of them, that
    finds its query kernel whole among its parameters.
    """
    queries = blocks["attention"]["query"].astype(x_BTD.dtype)
    later = blocks | {"attention": blocks["attention"] | {"query": jnp.roll(queries, -1, axis=0)}}
    parts_LDv = None
    if head_DV is not None:
        parts_DLv = head_DV.astype(x_BTD.dtype).reshape(len(head_DV), len(queries), -1)
        parts_LDv = jnp.moveaxis(parts_DLv, 1, 0)

    def step(
        pattern: str, carry: tuple[jax.Array, jax.Array], block: dict[str, Any], part_Dv: jax.Array | None
    ) -> tuple:
        x_BTD, query = carry
        following = whole(block["attention"]["query"], Spread(layout, QUERY))
        part_nDv = None if part_Dv is None else copies(part_Dv, Spread(layout, HEAD))
        block = block | {"attention": block["attention"] | {"query": query}}
        return (layer(pattern, x_BTD, block, None)[0], following), part_nDv

    start = (x_BTD, whole(queries[0], Spread(layout, QUERY)))
    (x_BTD, _), parts_LnDv = scan(step, start, (later, parts_LDv))
    if parts_LnDv is None:
        return x_BTD, None
    parts_nDLv = jnp.moveaxis(parts_LnDv, 0, 2)
    return x_BTD, parts_nDLv.reshape(*parts_nDLv.shape[:2], -1)
