"""Next-token cross-entropy with an optional max-z loss, computed in chunks of tokens.

The logits are the largest array of training, so only those of one chunk are in memory. The gradient of a chunk is
computed with its logits in the forward pass, so the backward pass needs no logits.

B batch, T positions, D hidden, V vocabulary, n tokens of a chunk.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from baichuan_jax.model.chunks import Chunks, chunk_size, num_model_shards, run_in_chunks
from baichuan_jax.model.execution import Execution, row_major
from baichuan_jax.model.layers import capped

HEAD_AXES = ("embed", "vocab")


class Sums(NamedTuple):
    """A loss before division: weighted sums over the target tokens.

    minimised: the objective, which has a gradient. nll: negative log-likelihood in nats. count: sum of the weights.
    domain_nll, domain_count: nll and count of each domain, [domains]; None if the batch has no domains.

    Add the sums of microbatches and hosts, then divide once: a mean of means is wrong with uneven masks.
    """

    minimised: jax.Array
    nll: jax.Array
    count: jax.Array
    domain_nll: jax.Array | None = None
    domain_count: jax.Array | None = None


def token_nll(logits_BTV: jax.Array, targets_BT: jax.Array) -> jax.Array:
    """Return -log p(target) in nats, float32, for every position."""
    # A mask is computed on each shard of the vocabulary; a gather would collect the logits.
    is_target_BTV = jnp.arange(logits_BTV.shape[-1]) == targets_BT[..., None]
    picked_BT = jnp.sum(jnp.where(is_target_BTV, logits_BTV, 0.0), axis=-1)
    return jax.nn.logsumexp(logits_BTV, axis=-1) - picked_BT


def max_z(logits_BTV: jax.Array) -> jax.Array:
    """Return the squared largest logit of every position: the max-z loss of Baichuan 2 (arXiv 2309.10305)."""
    return jnp.square(jnp.max(logits_BTV, axis=-1))


class Objective(NamedTuple):
    """max_z: weight of the max-z loss. soft_cap: of the logits. exe: chunk sizes and layout."""

    max_z: float
    soft_cap: float
    exe: Execution


def cross_entropy(
    x_BTD: jax.Array, head_DV: jax.Array, targets_BT: jax.Array, weights_BT: jax.Array, objective: Objective
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return (objective, nll), both summed, and nll_BT of every token; only the objective has a gradient.

    x_BTD: normalised hidden states, in the compute dtype. head_DV: float32. weights_BT: how much each target
    counts, float32; a target of weight 0 changes neither sums nor gradients.
    """
    minimised, nll, nll_BT = _cross_entropy(x_BTD, head_DV, targets_BT, weights_BT, objective)
    return minimised, jax.lax.stop_gradient(nll), jax.lax.stop_gradient(nll_BT)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _cross_entropy(
    x_BTD: jax.Array, head_DV: jax.Array, targets_BT: jax.Array, weights_BT: jax.Array, objective: Objective
) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _compute(x_BTD, head_DV, targets_BT, weights_BT, objective, gradients=False)[0]


def _forward(
    x_BTD: jax.Array, head_DV: jax.Array, targets_BT: jax.Array, weights_BT: jax.Array, objective: Objective
) -> tuple:
    return _compute(x_BTD, head_DV, targets_BT, weights_BT, objective, gradients=True)


def _backward(objective: Objective, grads: tuple[jax.Array, jax.Array], cotangents: tuple) -> tuple:
    return (*(grad * cotangents[0].astype(grad.dtype) for grad in grads), None, None)


_cross_entropy.defvjp(_forward, _backward)


def _compute(
    x_BTD: jax.Array,
    head_DV: jax.Array,
    targets_BT: jax.Array,
    weights_BT: jax.Array,
    objective: Objective,
    gradients: bool,
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array] | None]:
    """Return ((minimised, nll, nll_BT), (dx, dhead) or None)."""
    exe = objective.exe
    bytes_per_token = 4 * (head_DV.shape[1] // num_model_shards(exe.layout, "vocab"))  # float32 logits
    chunks = Chunks(chunk_size(exe.logits_bytes, bytes_per_token), (("head", HEAD_AXES),), exe.layout)
    step = partial(_chunk, objective, gradients)
    tokens, weights = (x_BTD, targets_BT, weights_BT), {"head": head_DV.astype(x_BTD.dtype)}
    (nll_BT, dx_BTD), grads, (minimised, nll) = run_in_chunks(step, tokens, weights, chunks, gradients)
    return (minimised, nll, nll_BT), (dx_BTD, grads["head"].astype(jnp.float32)) if gradients else None


def _chunk(
    objective: Objective, gradients: bool, tokens: tuple[jax.Array, jax.Array, jax.Array], weights: dict
) -> tuple[tuple[jax.Array, jax.Array | None], dict, tuple[jax.Array, jax.Array]]:
    """Return ((nll_n, dx or None), {"head": dhead} or {}, (minimised, nll)) of one chunk.

    The two products of the gradient are explicit to control their dtypes: autodiff would multiply float32 gradients of
    the logits by bfloat16.
    """
    x_nD, targets_n, weights_n = tokens
    head_DV = weights["head"]

    def sums(logits_nV: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        logits_nV = capped(logits_nV, objective.soft_cap)
        nll_n = token_nll(logits_nV, targets_n)
        nll = jnp.sum(nll_n * weights_n)
        extra = objective.max_z * jnp.sum(max_z(logits_nV) * weights_n) if objective.max_z else 0.0
        return nll + extra, (nll, nll_n)

    dot = partial(jnp.einsum, preferred_element_type=jnp.float32)
    logits_nV = dot("nD,DV->nV", x_nD, head_DV)
    if not gradients:
        minimised, (nll, nll_n) = sums(logits_nV)
        return (nll_n, None), {}, (minimised, nll)
    minimised, pull, (nll, nll_n) = jax.vjp(sums, logits_nV, has_aux=True)
    dlogits_nV = pull(jnp.ones(()))[0].astype(x_nD.dtype)
    dx_nD = dot("nV,DV->nD", dlogits_nV, head_DV).astype(x_nD.dtype)
    pinned = row_major if objective.exe.to_float32 else lambda x: x
    return (nll_n, dx_nD), {"head": pinned(dot("Dn,nV->DV", pinned(x_nD.T), dlogits_nV))}, (minimised, nll)
