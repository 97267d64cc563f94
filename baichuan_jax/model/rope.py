"""Rotary position embedding (Su et al., arXiv 2104.09864), in the half-split convention of the released weights.

B batch, T query positions, N heads, H head size.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def rotations(positions_BT: jax.Array, head_dim: int, base: float) -> tuple[jax.Array, jax.Array]:
    """Returns (cos, sin) of shape [B, T, 1, H/2] in float32: the angle of each pair at each position."""
    frequency = base ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    angle = positions_BT[:, :, None, None].astype(jnp.float32) * frequency
    return jnp.cos(angle), jnp.sin(angle)


def rotate(x_BTNH: jax.Array, rotations: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Rotates pair (i, i + H/2) of every head by its angle, in float32; keeps the dtype."""
    cos, sin = rotations
    left, right = jnp.split(x_BTNH.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)
    return turned.astype(x_BTNH.dtype)
