"""Token embedding. B batch, T positions, D hidden, V vocabulary, n devices."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import PartitionSpec

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.execution import Execution
from baichuan_jax.model.layers import weight
from baichuan_jax.parallel.layout import Layout


class Embed(nnx.Module):
    """The token table [V, D]."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.table = weight(rngs, cfg.init_std, table_vocab=cfg.vocab, table_embed=cfg.hidden)

    def __call__(self, tokens_BT: jax.Array, vectors_BTD: jax.Array | None, exe: Execution) -> jax.Array:
        """Return token vectors in the compute dtype. vectors_BTD: position vectors, which are added."""
        x_BTD = look_up(self.table[...].astype(exe.dtype), tokens_BT, exe.layout)
        if vectors_BTD is not None:
            x_BTD += vectors_BTD.astype(exe.dtype)
        return exe.constrain(x_BTD, "batch", "length", "hidden")


def look_up(table_VD: jax.Array, tokens_BT: jax.Array, layout: Layout | None) -> jax.Array:
    """Return table_VD[tokens_BT] from a table whose vectors are split over devices.

    Every device looks up the tokens of all devices in its slice of the vectors. An all-to-all then exchanges slices of
    all tokens for whole vectors of its own tokens. So neither the table nor its gradient is ever gathered. XLA alone
    would hold and all-reduce the whole gradient on every device.
    """
    sizes = {"batch": tokens_BT.shape[0], "length": tokens_BT.shape[1], "table_embed": table_VD.shape[1]}
    if layout is None or any(size % layout.num_shards(axis) for axis, size in sizes.items()):
        # A decoding step may have fewer rows than devices, and its parameters need not be split.
        return _rows(table_VD, tokens_BT, table_VD.shape[0])
    split = layout.fsdp_axes("table_embed")

    def on_device(table_VD: jax.Array, tokens_BT: jax.Array) -> jax.Array:
        if not split:
            return _rows(table_VD, tokens_BT, table_VD.shape[0])
        tokens_nBT = jax.lax.all_gather(tokens_BT, split)
        slices_nBTD = _rows(table_VD, tokens_nBT, table_VD.shape[0])
        return jax.lax.all_to_all(slices_nBTD, split, 0, 3, tiled=True)[0]

    by_token = layout.spec(("batch", "length"))
    return jax.shard_map(
        on_device,
        mesh=layout.mesh,
        in_specs=(PartitionSpec(None, layout.rules.table_embed), by_token),
        out_specs=PartitionSpec(*by_token, layout.tensor_axes("table_embed")),
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
