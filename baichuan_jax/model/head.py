"""The final norm and the language-model head. B batch, T positions, D hidden, V vocabulary."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.embed import Embed
from baichuan_jax.model.execution import Execution
from baichuan_jax.model.layers import NORMS, capped, weight


class Head(nnx.Module):
    """The final norm, and the head [D, V] unless it is tied to the token table."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.cfg = cfg.head
        self.norm = NORMS[cfg.norm](cfg.hidden, cfg.norm_eps)
        if not cfg.head.tied:
            self.kernel = weight(rngs, cfg.init_std, embed=cfg.hidden, vocab=cfg.vocab)

    def weight(self, embed: Embed, exe: Execution) -> jax.Array:
        """Return the output weight, float32 [D, V]."""
        kernel_DV = exe.constrain(embed.table[...].T, "embed", "vocab") if self.cfg.tied else self.kernel[...]
        kernel_DV = kernel_DV.astype(jnp.float32)  # decoding may hold it in fewer bits
        if self.cfg.normalised:
            norm_V = jnp.linalg.norm(kernel_DV, axis=0)
            kernel_DV /= jnp.maximum(norm_V, 1e-12)
        return kernel_DV

    def logits(self, x_BTD: jax.Array, embed: Embed, exe: Execution) -> jax.Array:
        """Return float32 logits_BTV of the last hidden states."""
        x_BTD = self.norm(x_BTD)
        kernel_DV = self.weight(embed, exe).astype(x_BTD.dtype)
        logits_BTV = jnp.einsum("BTD,DV->BTV", x_BTD, kernel_DV, preferred_element_type=jnp.float32)
        return exe.constrain(capped(logits_BTV, self.cfg.soft_cap), "batch", "length", "vocab")
