"""What stands before and after the blocks. B batch, T positions, D hidden, V vocabulary."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from baichuan_jax.model.common import Context, weight
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.loss import capped
from baichuan_jax.model.norms import NORMS
from baichuan_jax.model.positions import POSITIONS


class Ends(nnx.Module):
    """The token table, the positions, the last norm, and the head."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.cfg = cfg.head
        self.table = weight(rngs, cfg.init_std, table_vocab=cfg.vocab, table_embed=cfg.hidden)
        self.norm = NORMS[cfg.norm](cfg)
        if not cfg.head.tied:
            self.head = weight(rngs, cfg.init_std, embed=cfg.hidden, vocab=cfg.vocab)
        self.positions = POSITIONS[cfg.positions.kind](cfg, rngs)

    def embed(self, tokens_BT: jax.Array, context: Context, dtype: jnp.dtype) -> jax.Array:
        """Looks token vectors up, and adds those of the positions where the scheme has any."""
        x_BTD = self.table[...].astype(dtype)[tokens_BT]
        vectors_BTD = self.positions.vectors(context.positions_BT)
        if vectors_BTD is not None:
            x_BTD += vectors_BTD.astype(dtype)
        return context.constrain(x_BTD, "batch", "length", "hidden")

    def logits(self, x_BTD: jax.Array, context: Context) -> jax.Array:
        """Returns float32 logits over the vocabulary."""
        x_BTD = self.norm(x_BTD)
        kernel_DV = self.kernel(context).astype(x_BTD.dtype)
        logits_BTV = jnp.einsum("BTD,DV->BTV", x_BTD, kernel_DV, preferred_element_type=jnp.float32)
        return context.constrain(capped(logits_BTV, self.cfg.soft_cap), "batch", "length", "vocab")

    def kernel(self, context: Context) -> jax.Array:
        """Returns the head as it multiplies the normalised hidden states, float32."""
        kernel_DV = context.constrain(self.table[...].T, "embed", "vocab") if self.cfg.tied else self.head[...]
        if self.cfg.normalised:
            length_V = jnp.linalg.norm(kernel_DV, axis=0)
            kernel_DV /= jnp.maximum(length_V, 1e-12)
        return kernel_DV
