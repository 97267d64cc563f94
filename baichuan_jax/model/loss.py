"""Next-token cross-entropy, and what may be added to it. B batch, T positions, V vocabulary."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def token_nll(logits_BTV: jax.Array, targets_BT: jax.Array) -> jax.Array:
    """Returns -log p(target) in nats, float32, for every position."""
    picked_BT = jnp.take_along_axis(logits_BTV, targets_BT[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits_BTV, axis=-1) - picked_BT


def max_z(logits_BTV: jax.Array) -> jax.Array:
    """Returns the squared largest logit of every position: the max-z loss of Baichuan 2 (arXiv 2309.10305)."""
    return jnp.square(jnp.max(logits_BTV, axis=-1))
