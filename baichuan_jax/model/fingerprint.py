"""A fingerprint of parameters: adapters are for one base, and say which."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp

from baichuan_jax.model.decoder import Params

MIXERS = (0x9E3779B1, 0x85EBCA77)  # odd, with about as many ones as zeros: the primes of xxHash


def fingerprint(params: Params) -> str:
    """Return 16 hexadecimal digits of the values of float32 parameters, by name and shape; sharding does not matter.

    Against mistakes, not against forgery.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return fingerprint_of((jax.tree_util.keystr(path), leaf) for path, leaf in leaves)


def fingerprint_of(leaves: Iterable[tuple[str, jax.Array]]) -> str:
    """Return the fingerprint of parameters that come one by one, each with its path, in the order of their tree."""
    sums = [(path, leaf.shape, _sums(leaf)) for path, leaf in leaves]
    lines = [f"{path} {shape} {found.tolist()}\n" for path, shape, found in jax.device_get(sums)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


@jax.jit
def _sums(leaf: jax.Array) -> jax.Array:
    """Return a sum of mixed bits for each mixer, uint32: their order does not matter, the place of a value does."""
    bits = jax.lax.bitcast_convert_type(leaf.astype(jnp.float32), jnp.uint32)
    strides = [math.prod(leaf.shape[axis + 1 :]) % 2**32 for axis in range(leaf.ndim)]
    place = sum(
        jax.lax.broadcasted_iota(jnp.uint32, leaf.shape, axis) * jnp.uint32(stride)
        for axis, stride in enumerate(strides)
    )
    found = []
    for mixer in MIXERS:
        mixed = (bits ^ (place * jnp.uint32(mixer))) * jnp.uint32(MIXERS[0])
        mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(mixer)
        found.append(jnp.sum(mixed ^ (mixed >> 13), dtype=jnp.uint32))
    return jnp.stack(found)
