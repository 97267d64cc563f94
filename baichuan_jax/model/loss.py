"""Next-token cross-entropy, and what may be added to it; over many tokens computed in chunks of them.

The largest array of training is the logits, and the largest operator the head: they are never whole in memory. The
gradient of a chunk is made as soon as its logits are there, so that the backward pass needs no logits again. B batch, T
positions, D hidden, V vocabulary, n tokens of a chunk, c chunks.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from baichuan_jax.model.spread import scattered
from baichuan_jax.parallel.layout import Layout

PADDING = -1  # target of a token that does not count


def token_nll(logits_BTV: jax.Array, targets_BT: jax.Array) -> jax.Array:
    """Return -log p(target) in nats, float32, for every position."""
    is_target_BTV = (
        jnp.arange(logits_BTV.shape[-1]) == targets_BT[..., None]
    )  # a mask splits by vocabulary, a gather not
    picked_BT = jnp.sum(jnp.where(is_target_BTV, logits_BTV, 0.0), axis=-1)
    return jax.nn.logsumexp(logits_BTV, axis=-1) - picked_BT


def max_z(logits_BTV: jax.Array) -> jax.Array:
    """Return the squared largest logit of every position: the max-z loss of Baichuan 2 (arXiv 2309.10305)."""
    return jnp.square(jnp.max(logits_BTV, axis=-1))


def capped(logits_BTV: jax.Array, soft_cap: float) -> jax.Array:
    """Bounds logits to +-soft_cap by tanh (Gemma 2, arXiv 2408.00118); 0 is off."""
    return soft_cap * jnp.tanh(logits_BTV / soft_cap) if soft_cap else logits_BTV


class Objective(NamedTuple):
    """What is minimised, and how much of it at once.

    max_z: weight of the max-z loss. soft_cap: of the logits. chunk_bytes: most that the float32 logits of a chunk take
    on a device. layout: of the arrays, if there are several devices.
    """

    max_z: float
    soft_cap: float
    chunk_bytes: int
    layout: Layout | None

    @property
    def vocab_shards(self) -> int:
        """Number of pieces that the logits of a token are cut into."""
        if self.layout is None:
            return 1
        return math.prod(self.layout.mesh.shape[axis] for axis in self.layout.tensor_axes("vocab"))


def cross_entropy(
    x_BTD: jax.Array, kernel_DV: jax.Array, targets_BT: jax.Array, objective: Objective
) -> tuple[jax.Array, jax.Array]:
    """Return (what is minimised, the negative log-likelihood in nats), both summed; only the first has a gradient.

    x_BTD: normalised hidden states, in the dtype to compute in. kernel_DV: the head, float32; or the copies of it that
    `spread.copies` made, in the dtype to compute in.
    """
    minimised, nll = _cross_entropy(x_BTD, kernel_DV, targets_BT, objective)
    return minimised, jax.lax.stop_gradient(nll)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _cross_entropy(
    x_BTD: jax.Array, kernel_DV: jax.Array, targets_BT: jax.Array, objective: Objective
) -> tuple[jax.Array, jax.Array]:
    return _over_devices(x_BTD, kernel_DV, targets_BT, objective, False)[0]


def _forward(x_BTD: jax.Array, kernel_DV: jax.Array, targets_BT: jax.Array, objective: Objective) -> tuple:
    return _over_devices(x_BTD, kernel_DV, targets_BT, objective, True)


def _backward(objective: Objective, grads: tuple[jax.Array, jax.Array], cotangents: tuple) -> tuple:
    return (*(grad * cotangents[0].astype(grad.dtype) for grad in grads), None)


_cross_entropy.defvjp(_forward, _backward)


def _over_devices(
    x_BTD: jax.Array, kernel_DV: jax.Array, targets_BT: jax.Array, objective: Objective, grads: bool
) -> tuple:
    """Return ((minimised, nll), (dx, dkernel) or None); every device chunks its own tokens.

    The head is gathered here, once; left to the compiler, each chunk would gather it, and reduce its gradient, anew.
    """
    kernel_DV = kernel_DV.astype(x_BTD.dtype)
    layout = objective.layout
    if layout is None or not layout.splits_tokens:
        return _over_chunks(x_BTD, kernel_DV, targets_BT, objective, grads)
    axes, rows = layout.token_axes, layout.fsdp_axes("embed")  # rows: of the head
    tokens, whole = layout.spec(("batch", "length")), PartitionSpec()
    copied = kernel_DV.ndim == 3

    def local(x_BTD: jax.Array, kernel_DV: jax.Array, targets_BT: jax.Array) -> tuple:
        kernel_DV = kernel_DV[0] if copied else kernel_DV
        sums, parts = _over_chunks(x_BTD, kernel_DV, targets_BT, objective, grads)
        sums = jax.lax.psum(sums, axes)
        if not grads:
            return sums, None
        dx_BTD, dkernel_DV = parts[0], parts[1].astype(x_BTD.dtype)  # reduced in the dtype that every gradient is in
        if copied:
            return sums, (dx_BTD, dkernel_DV[None])
        return sums, (dx_BTD, scattered(dkernel_DV, (rows,), axes).astype(jnp.float32))

    of_kernel = (PartitionSpec(axes), PartitionSpec(axes)) if copied else (whole, PartitionSpec(rows))
    in_specs = (tokens, of_kernel[0], tokens)
    out_specs = ((whole, whole), (tokens, of_kernel[1]) if grads else None)
    return jax.shard_map(
        local, mesh=layout.mesh, in_specs=in_specs, out_specs=out_specs, axis_names=set(axes), check_vma=False
    )(x_BTD, kernel_DV, targets_BT)


def _over_chunks(
    x_BTD: jax.Array, kernel_DV: jax.Array, targets_BT: jax.Array, objective: Objective, grads: bool
) -> tuple:
    """Return ((minimised, nll), (dx, dkernel) or None) of these tokens; one chunk if their logits fit into it."""
    tokens, (hidden, vocab) = targets_BT.size, kernel_DV.shape
    chunk = max(1, objective.chunk_bytes // (4 * (vocab // objective.vocab_shards)))
    if tokens <= chunk:
        sums, parts = _chunk(x_BTD.reshape(-1, hidden), kernel_DV, targets_BT.reshape(-1), objective, grads)
        return sums, (parts[0].reshape(x_BTD.shape), parts[1]) if grads else None
    count = -(-tokens // chunk)
    chunk = -(-tokens // count)  # as even as can be: the last one is filled up
    fill = count * chunk - tokens
    x_cnD = jnp.pad(x_BTD.reshape(-1, hidden), ((0, fill), (0, 0))).reshape(count, chunk, hidden)
    targets_cn = jnp.pad(targets_BT.reshape(-1), (0, fill), constant_values=PADDING).reshape(count, chunk)

    def add(carry: tuple, scanned: tuple[jax.Array, jax.Array]) -> tuple:
        sums, dkernel_DV = carry
        more, parts = _chunk(scanned[0], kernel_DV, scanned[1], objective, grads)
        sums = jax.tree.map(jnp.add, sums, more)
        return ((sums, dkernel_DV + parts[1]), parts[0]) if grads else ((sums, None), None)

    zero = jnp.zeros((), jnp.float32)
    start = ((zero, zero), jnp.zeros((hidden, vocab), jnp.float32) if grads else None)
    (sums, dkernel_DV), dx_cnD = jax.lax.scan(add, start, (x_cnD, targets_cn))
    return sums, (dx_cnD.reshape(-1, hidden)[:tokens].reshape(x_BTD.shape), dkernel_DV) if grads else None


def _chunk(
    x_nD: jax.Array, kernel_DV: jax.Array, targets_n: jax.Array, objective: Objective, grads: bool
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array] | None]:
    """Return ((minimised, nll), (dx, dkernel) or None) of one chunk.

    The two products of the gradient are written out for their dtypes: differentiated, they would multiply float32
    gradients of logits by bfloat16.
    """

    def sums(logits_nV: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits_nV = capped(logits_nV, objective.soft_cap)
        counts_n = targets_n != PADDING
        nll = jnp.sum(token_nll(logits_nV, targets_n) * counts_n)
        extra = objective.max_z * jnp.sum(max_z(logits_nV) * counts_n) if objective.max_z else 0.0
        return nll + extra, nll

    dot = partial(jnp.einsum, preferred_element_type=jnp.float32)
    logits_nV = dot("nD,DV->nV", x_nD, kernel_DV)
    if not grads:
        return sums(logits_nV), None
    minimised, pull, nll = jax.vjp(sums, logits_nV, has_aux=True)
    dlogits_nV = pull(jnp.ones(()))[0].astype(x_nD.dtype)
    dx_nD = dot("nV,DV->nD", dlogits_nV, kernel_DV).astype(x_nD.dtype)
    return (minimised, nll), (dx_nD, dot("nD,nV->DV", x_nD, dlogits_nV))
