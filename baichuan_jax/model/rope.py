"""Rotary position embedding (Su et al., arXiv 2104.09864), in the half-split convention of the released weights.

`SCALINGS` are the ways to stretch it past the context it was trained on. B batch, T query positions, N heads, H head
size.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.model.config import PositionConfig


def frequencies(base: float, head_dim: int) -> np.ndarray:
    """Return the angle per position of each of the H/2 pairs, float32, fastest first.

    Rounded as in the implementations that models are published with, 1 / float32(base^x): the last bit of a frequency
    is 1e-4 of a radian at position 2,000. XLA would compile it to base^-x, and round otherwise.
    """
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    return 1 / (base ** exponents.astype(np.float64)).astype(np.float32)


def _linear(cfg: PositionConfig, head_dim: int) -> np.ndarray:
    """Position interpolation (Chen et al., arXiv 2306.15595): every position divided by the factor."""
    return frequencies(cfg.rope_base, head_dim) / cfg.factor


def ntk_base(cfg: PositionConfig, head_dim: int) -> float:
    """Return the base of NTK-aware scaling: the slowest frequency is divided by the factor, the fastest is kept."""
    return cfg.rope_base * cfg.factor ** (head_dim / (head_dim - 2))


def _yarn(cfg: PositionConfig, head_dim: int) -> np.ndarray:
    """NTK-by-parts (Peng et al., arXiv 2309.00071, section 3.2): interpolates slow pairs, with a ramp over pairs."""
    kept = frequencies(cfg.rope_base, head_dim)

    def pair(rotations: float) -> float:
        """Return the pair that makes so many rotations over the original context."""
        wavelength = cfg.original_context / rotations
        return head_dim * math.log(wavelength / (2 * math.pi)) / (2 * math.log(cfg.rope_base))

    low, high = max(math.floor(pair(cfg.fast)), 0), min(math.ceil(pair(cfg.slow)), head_dim - 1)
    ramp = np.clip((np.arange(head_dim // 2, dtype=np.float32) - low) / max(high - low, 0.001), 0, 1)
    return kept * (1 - ramp) + kept / cfg.factor * ramp


def _llama3(cfg: PositionConfig, head_dim: int) -> np.ndarray:
    """Llama 3.1's (arXiv 2407.21783): interpolates slow pairs, with a ramp over rotations."""
    kept = frequencies(cfg.rope_base, head_dim)
    rotations = cfg.original_context * kept / (2 * math.pi)
    keep = np.clip((rotations - cfg.slow) / (cfg.fast - cfg.slow), 0, 1)
    return kept * keep + kept / cfg.factor * (1 - keep)


SCALINGS = {
    "none": lambda cfg, head_dim: frequencies(cfg.rope_base, head_dim),
    "linear": _linear,
    "ntk": lambda cfg, head_dim: frequencies(ntk_base(cfg, head_dim), head_dim),
    "yarn": _yarn,
    "llama3": _llama3,
}


def attention_factor(cfg: PositionConfig) -> float:
    """Return what queries and keys are multiplied by (YaRN, section 3.4); 1 in every other scaling."""
    if cfg.scaling != "yarn":
        return 1.0
    return cfg.attention_factor or 0.1 * math.log(cfg.factor) + 1


def rotations(positions_BT: jax.Array, head_dim: int, cfg: PositionConfig) -> tuple[jax.Array, jax.Array]:
    """Return (cos, sin) of shape [B, T, 1, H/2] in float32: the angle of each pair at each position."""
    angle = positions_BT[:, :, None, None].astype(jnp.float32) * SCALINGS[cfg.scaling](cfg, head_dim)
    return jnp.cos(angle) * attention_factor(cfg), jnp.sin(angle) * attention_factor(cfg)


def rotate(x_BTNH: jax.Array, rotations: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Rotates pair (i, i + H/2) of every head by its angle, in float32; keeps the dtype."""
    cos, sin = rotations
    left, right = jnp.split(x_BTNH.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)
    return turned.astype(x_BTNH.dtype)
