"""One layer of the decoder. B batch, T positions, D hidden."""

from __future__ import annotations

import jax
from flax import nnx

from baichuan_jax.model.attention.attention import Attention
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.feedforward import FeedForward
from baichuan_jax.model.layers import Context
from baichuan_jax.model.norms import NORMS


class Block(nnx.Module):
    """Pre-norm: x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.attention_norm = NORMS[cfg.norm](cfg)
        self.attention = Attention(cfg, rngs)
        self.mlp_norm = NORMS[cfg.norm](cfg)
        self.mlp = FeedForward(cfg, rngs)

    def __call__(
        self, x_BTD: jax.Array, context: Context, cache: dict | None, pattern: str
    ) -> tuple[jax.Array, dict | None]:
        y_BTD, cache = self.attention(self.attention_norm(x_BTD), context, cache, pattern)
        x_BTD += y_BTD
        return x_BTD + self.mlp(self.mlp_norm(x_BTD), context.exe), cache
