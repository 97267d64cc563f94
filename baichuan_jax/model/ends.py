"""What stands before and after the blocks. B batch, T positions, D hidden, V vocabulary."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import PartitionSpec

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.layers import Context, weight
from baichuan_jax.model.loss import capped
from baichuan_jax.model.norms import NORMS
from baichuan_jax.model.positions import POSITIONS
from baichuan_jax.parallel.layout import Layout


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
        """Look token vectors up, and adds those of the positions where the scheme has any."""
        x_BTD = look_up(self.table[...].astype(dtype), tokens_BT, context.layout)
        vectors_BTD = self.positions.vectors(context.positions_BT)
        if vectors_BTD is not None:
            x_BTD += vectors_BTD.astype(dtype)
        return context.constrain(x_BTD, "batch", "length", "hidden")

    def logits(self, x_BTD: jax.Array, context: Context) -> jax.Array:
        """Return float32 logits over the vocabulary."""
        x_BTD = self.norm(x_BTD)
        kernel_DV = self.kernel(context).astype(x_BTD.dtype)
        logits_BTV = jnp.einsum("BTD,DV->BTV", x_BTD, kernel_DV, preferred_element_type=jnp.float32)
        return context.constrain(capped(logits_BTV, self.cfg.soft_cap), "batch", "length", "vocab")

    def kernel(self, context: Context) -> jax.Array:
        """Return the head as it multiplies the normalised hidden states, float32."""
        kernel_DV = context.constrain(self.table[...].T, "embed", "vocab") if self.cfg.tied else self.head[...]
        kernel_DV = kernel_DV.astype(jnp.float32)  # decoding may hold it in less
        if self.cfg.normalised:
            length_V = jnp.linalg.norm(kernel_DV, axis=0)
            kernel_DV /= jnp.maximum(length_V, 1e-12)
        return kernel_DV


def look_up(table_VD: jax.Array, tokens_BT: jax.Array, layout: Layout | None) -> jax.Array:
    """Return table_VD[tokens_BT], every device looking up the tokens of all in its part of every vector.

    The parts are then exchanged for whole vectors of the own tokens. So neither the table nor its gradient is ever
    whole on a device, nor sent: left to the compiler, every device would hold and reduce that of the whole table.
    """
    sizes = {"batch": tokens_BT.shape[0], "length": tokens_BT.shape[1], "table_embed": table_VD.shape[1]}
    if layout is None or any(size % layout.num_shards(axis) for axis, size in sizes.items()):
        # A decoding step may have fewer rows than devices, and its parameters need not be split.
        return _rows(table_VD, tokens_BT, table_VD.shape[0])
    split = layout.fsdp_axes("table_embed")

    def local(table_VD: jax.Array, tokens_BT: jax.Array) -> jax.Array:
        if not split:
            return _rows(table_VD, tokens_BT, table_VD.shape[0])
        tokens_NBT = jax.lax.all_gather(tokens_BT, split)
        parts_NBTD = _rows(table_VD, tokens_NBT, table_VD.shape[0])
        return jax.lax.all_to_all(parts_NBTD, split, 0, 3, tiled=True)[0]

    spec = layout.spec(("batch", "length"))
    own = layout.tensor_axes("table_embed")
    return jax.shard_map(
        local,
        mesh=layout.mesh,
        in_specs=(PartitionSpec(None, layout.rules.table_embed), spec),
        out_specs=PartitionSpec(*spec, own),
        check_vma=False,
    )(table_VD, tokens_BT)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _rows(table_VD: jax.Array, tokens_BT: jax.Array, vocab: int) -> jax.Array:
    return table_VD[tokens_BT]


def _rows_gradient(vocab: int, tokens_BT: jax.Array, dx_BTD: jax.Array) -> tuple[jax.Array, None]:
    """Sum in float32: a frequent token has thousands of gradients in a batch."""
    zeros = jnp.zeros((vocab, dx_BTD.shape[-1]), jnp.float32)
    return zeros.at[tokens_BT].add(dx_BTD.astype(jnp.float32)).astype(dx_BTD.dtype), None


_rows.defvjp(lambda table_VD, tokens_BT, vocab: (table_VD[tokens_BT], tokens_BT), _rows_gradient)
