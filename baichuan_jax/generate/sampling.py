"""Choosing the next token. B rows, V vocabulary."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def choose(logits_BV: jax.Array, key: jax.Array, temperature: float, top_p: float) -> jax.Array:
    """Returns token ids [B], int32: the most probable if temperature is 0, else a draw from the nucleus."""
    if temperature == 0:
        return jnp.argmax(logits_BV, axis=-1).astype(jnp.int32)
    return jax.random.categorical(key, nucleus(logits_BV / temperature, top_p), axis=-1).astype(jnp.int32)


def nucleus(logits_BV: jax.Array, top_p: float) -> jax.Array:
    """Returns logits with -inf outside the smallest set of tokens whose probability reaches top_p."""
    if top_p == 1:
        return logits_BV
    sorted_BV = jnp.sort(logits_BV, axis=-1, descending=True)
    probability_BV = jax.nn.softmax(sorted_BV, axis=-1)
    # A token stays if those before it have not reached top_p yet; so the first always stays.
    before_BV = jnp.cumsum(probability_BV, axis=-1) - probability_BV
    least_B1 = jnp.min(jnp.where(before_BV < top_p, sorted_BV, jnp.inf), axis=-1, keepdims=True)
    return jnp.where(logits_BV >= least_B1, logits_BV, -jnp.inf)
