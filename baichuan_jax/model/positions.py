"""Position schemes; `POSITIONS` is the table.

A scheme may add to the token vectors, rotate queries and keys, or bias scores by distance; the default is none of
these. Rotary position embedding (Su et al., arXiv 2104.09864) uses the half-split convention of the released weights.
`SCALINGS` extend it past the training context.

B batch, T positions, D hidden, N heads, H head size.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from baichuan_jax.model.config import DecoderConfig, PositionConfig


def frequencies(base: float, head_dim: int) -> np.ndarray:
    """Return the angle per position of each of the H/2 pairs, float32, fastest first.

    Rounded as in the published implementations, 1 / float32(base^x): the last bit of a frequency is 1e-4 radians at
    position 2,000. XLA would compile it to base^-x, which rounds differently.
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
    """NTK-by-parts (Peng et al., arXiv 2309.00071, section 3.2): interpolate slow pairs, with a ramp over pairs."""
    kept = frequencies(cfg.rope_base, head_dim)

    def pair(rotations: float) -> float:
        """Return the pair that makes this many rotations over the original context."""
        wavelength = cfg.original_context / rotations
        return head_dim * math.log(wavelength / (2 * math.pi)) / (2 * math.log(cfg.rope_base))

    low, high = max(math.floor(pair(cfg.fast)), 0), min(math.ceil(pair(cfg.slow)), head_dim - 1)
    ramp = np.clip((np.arange(head_dim // 2, dtype=np.float32) - low) / max(high - low, 0.001), 0, 1)
    return kept * (1 - ramp) + kept / cfg.factor * ramp


def _llama3(cfg: PositionConfig, head_dim: int) -> np.ndarray:
    """Scaling of Llama 3.1 (arXiv 2407.21783): interpolate slow pairs, with a ramp over rotations."""
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
    """Return the factor of queries and keys (YaRN, section 3.4); 1 in every other scaling."""
    if cfg.scaling != "yarn":
        return 1.0
    return cfg.attention_factor or 0.1 * math.log(cfg.factor) + 1


def rotations(positions_BT: jax.Array, head_dim: int, cfg: PositionConfig) -> tuple[jax.Array, jax.Array]:
    """Return (cos, sin) of shape [B, T, 1, H/2] in float32: the angle of each pair at each position."""
    angle = positions_BT[:, :, None, None].astype(jnp.float32) * SCALINGS[cfg.scaling](cfg, head_dim)
    return jnp.cos(angle) * attention_factor(cfg), jnp.sin(angle) * attention_factor(cfg)


def rotate(x_BTNH: jax.Array, rotations: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Rotate pair (i, i + H/2) of every head by its angle, in float32; keeps the dtype."""
    cos, sin = rotations
    left, right = jnp.split(x_BTNH.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)
    return turned.astype(x_BTNH.dtype)


class Positions(nnx.Module):
    """No positions: only the causal mask gives order (Kazemnejad et al., arXiv 2305.19466)."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.cfg = cfg

    def vectors(self, positions_BT: jax.Array) -> jax.Array | None:
        """Return the vectors added to the token vectors, float32 [B, T, D]."""
        return None

    def rotations(self, positions_BT: jax.Array) -> tuple[jax.Array, jax.Array] | None:
        """Return (cos, sin) for queries and keys at these positions."""
        return None

    def slopes(self) -> jax.Array | None:
        """Return the slope of every head [N]: a score decreases by it per position of distance."""
        return None


class Sinusoidal(Positions):
    """Fixed sinusoids added to the token vectors (Vaswani et al., arXiv 1706.03762, section 3.5).

    In the paper both have a mean square of about 1; here both have init_std squared.
    """

    def vectors(self, positions_BT: jax.Array) -> jax.Array:
        half = self.cfg.hidden // 2
        angle = positions_BT[..., None] * 10_000.0 ** (-jnp.arange(half, dtype=jnp.float32) / half)
        both = jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=-1)  # even places sine, odd ones cosine
        return math.sqrt(2) * self.cfg.init_std * both.reshape(*positions_BT.shape, self.cfg.hidden)


class Learned(Positions):
    """A learned vector for each position of the context, added to the token vectors (GPT-2)."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        super().__init__(cfg, rngs)
        table = cfg.init_std * jax.random.normal(rngs.params(), (cfg.context, cfg.hidden))
        self.table = nnx.Param(table, axes=("positions", "table_embed"))

    def vectors(self, positions_BT: jax.Array) -> jax.Array:
        return self.table[...][positions_BT]


class Rope(Positions):
    """Rotation of queries and keys: RoPE."""

    def rotations(self, positions_BT: jax.Array) -> tuple[jax.Array, jax.Array]:
        return rotations(positions_BT, self.cfg.head_dim, self.cfg.positions)


class Alibi(Positions):
    """Attention with linear biases (Press et al., arXiv 2108.12409)."""

    def slopes(self) -> jax.Array:
        return jnp.array(alibi_slopes(self.cfg.heads), jnp.float32)


def alibi_slopes(heads: int) -> list[float]:
    """Return 2^(-8/n), 2^(-16/n), ... for n heads, a power of two.

    Other counts use, as in the paper's code and in Baichuan-13B, the slopes of the next lower power of two, then the
    first, third, ... slope of the next higher one.
    """
    below = 2 ** (heads.bit_length() - 1)
    series = lambda n: [2 ** (-8 * i / n) for i in range(1, n + 1)]
    return series(below) + series(2 * below)[::2][: heads - below]


POSITIONS = {"none": Positions, "sinusoidal": Sinusoidal, "learned": Learned, "rope": Rope, "alibi": Alibi}
