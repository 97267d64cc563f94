"""How the decoder knows the order of tokens; `POSITIONS` is the table.

A scheme may add to the token vectors, rotate queries and keys, or bias scores by distance; it does nothing by default.
B batch, T positions, D hidden, N heads, H head size.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.rope import rotations


class Positions(nnx.Module):
    """No positions at all: the causal mask alone tells order (Kazemnejad et al., arXiv 2305.19466)."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.cfg = cfg

    def vectors(self, positions_BT: jax.Array) -> jax.Array | None:
        """Return what is added to the token vectors, float32 [B, T, D]."""
        return None

    def rotations(self, positions_BT: jax.Array) -> tuple[jax.Array, jax.Array] | None:
        """Return (cos, sin) for queries and keys at these positions."""
        return None

    def slopes(self) -> jax.Array | None:
        """Return for every head [N] what each position of distance takes from a score."""
        return None


class Sinusoidal(Positions):
    """Fixed sinusoids added to the token vectors (Vaswani et al., arXiv 1706.03762, section 3.5).

    There both have a mean square of about 1; here both have that of a fresh token vector, init_std squared.
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
    """Rotation of queries and keys (rope.py)."""

    def rotations(self, positions_BT: jax.Array) -> tuple[jax.Array, jax.Array]:
        return rotations(positions_BT, self.cfg.head_dim, self.cfg.positions)


class Alibi(Positions):
    """Attention with linear biases (Press et al., arXiv 2108.12409)."""

    def slopes(self) -> jax.Array:
        return jnp.array(alibi_slopes(self.cfg.heads), jnp.float32)


def alibi_slopes(heads: int) -> list[float]:
    """Return 2^(-8/n), 2^(-16/n), ... for n heads, a power of two.

    Other counts have, as in the paper's code and in Baichuan-13B, the slopes of the power of two below, and then every
    other slope, the first, the third, ..., of the power of two above.
    """
    below = 2 ** (heads.bit_length() - 1)
    series = lambda n: [2 ** (-8 * i / n) for i in range(1, n + 1)]
    return series(below) + series(2 * below)[::2][: heads - below]


POSITIONS = {"none": Positions, "sinusoidal": Sinusoidal, "learned": Learned, "rope": Rope, "alibi": Alibi}
