"""Causal attention in blocks of queries and keys, with memory linear in the sequence length.

The softmax is accumulated block by block (Rabe and Staats, arXiv 2112.05682). The backward pass recomputes the scores
of a block from the saved sums (FlashAttention, Dao et al., arXiv 2205.14135). Fully masked blocks are not computed. B
batch, T positions, K key/value heads, G query heads of each, H head size; n blocks of w positions.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.model.attention.xla import Scores, Share, merge, same_segment, share
from baichuan_jax.model.execution import Execution

BLOCK = 512


def blocks(x_BT: jax.Array, size: int) -> jax.Array:
    """[B, T, ...] -> [B, n, size, ...], padded at the end, which is invisible to earlier queries."""
    pad = [(0, 0), (0, -x_BT.shape[1] % size)] + [(0, 0)] * (x_BT.ndim - 2)
    return jnp.pad(x_BT, pad).reshape(x_BT.shape[0], -1, size, *x_BT.shape[2:])


def attend_blockwise(
    q_BTKGH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    scores: Scores,
    segments_BT: jax.Array | None,
    exe: Execution,
    block: int = BLOCK,
) -> jax.Array:
    """Return y_BTKGH of full causal attention over whole sequences."""
    length = q_BTKGH.shape[1]
    block = min(block, length)
    blocks_first = lambda x: None if x is None else jnp.swapaxes(blocks(x, block), 0, 1)  # so that one can be indexed
    cut = map(blocks_first, (q_BTKGH, k_BTKH, v_BTKH, segments_BT))
    y_nBwKGH = _attend(*cut, scores.slopes_KG, scores.soft_cap)
    return jnp.swapaxes(y_nBwKGH, 0, 1).reshape(q_BTKGH.shape[0], -1, *q_BTKGH.shape[2:])[:, :length]


def _pairs(q_n: jax.Array) -> jax.Array:
    """Return every pair (block of queries, visible block of keys).

    The indices depend on the queries artificially. With constants, `jax.checkpoint` around a layer would precompute and
    keep the masks of all pairs: an array of the sequence squared.
    """
    pairs = jnp.asarray(np.stack(np.tril_indices(q_n.shape[0]), axis=1))
    return jax.lax.optimization_barrier((pairs, q_n))[0]


def _distances(pair: jax.Array, block: int) -> jax.Array:
    place = jnp.arange(block)
    return (pair[0] - pair[1]) * block + place[:, None] - place


def _one(x_n: jax.Array, at: jax.Array) -> jax.Array:
    return jax.lax.dynamic_index_in_dim(x_n, at, keepdims=False)


def _put(x_n: jax.Array, x: jax.Array, at: jax.Array) -> jax.Array:
    return jax.lax.dynamic_update_index_in_dim(x_n, x, at, 0)


def _add(x_n: jax.Array, x: jax.Array, at: jax.Array) -> jax.Array:
    return _put(x_n, _one(x_n, at) + x, at)


def _seen(distance_ww: jax.Array, segments: jax.Array | None, pair: jax.Array) -> jax.Array:
    """Return the mask between a block of queries and a block of keys, bool [w, w] or [B, w, w]."""
    sees = distance_ww >= 0
    if segments is None:
        return sees
    return sees & same_segment(_one(segments, pair[0]), _one(segments, pair[1]))


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def _attend(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: jax.Array | None,
    slopes_KG: jax.Array | None,
    soft_cap: float,
) -> jax.Array:
    return _forward(q, k, v, segments, slopes_KG, soft_cap)[0]


def _forward(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: jax.Array | None,
    slopes_KG: jax.Array | None,
    soft_cap: float,
) -> tuple:
    """Return y and the residuals of the backward pass, including the log-sum-exp of every query."""
    scores = Scores(soft_cap, slopes_KG)

    def add(sums: Share, pair: jax.Array) -> tuple[Share, None]:
        i, j = pair
        distance_ww = _distances(pair, q.shape[2])
        more = share(_one(q, i), _one(k, j), _one(v, j), _seen(distance_ww, segments, pair), distance_ww, scores)
        so_far = Share(*(_one(x, i) for x in sums))
        return Share(*(_put(x, new, i) for x, new in zip(sums, merge([so_far, more])))), None

    nothing = jnp.zeros(q.shape, jnp.float32)
    start = Share(nothing, jnp.full(q.shape[:-1], -jnp.inf), nothing[..., 0])
    sums, _ = jax.lax.scan(add, start, _pairs(q))
    y = (sums.y_XTKGH / sums.total_XTKG[..., None]).astype(v.dtype)
    return y, (q, k, v, segments, slopes_KG, y, sums.top_XTKG + jnp.log(sums.total_XTKG))


def _backward(soft_cap: float, saved: tuple, dy: jax.Array) -> tuple:
    q, k, v, segments, slopes_KG, y, log_total = saved
    scores = Scores(soft_cap, slopes_KG)
    along = jnp.sum(dy.astype(jnp.float32) * y.astype(jnp.float32), axis=-1)  # of each gradient, what softmax takes off
    dot = partial(jnp.einsum, preferred_element_type=jnp.float32)
    heads_first = lambda x_BwKG: jnp.moveaxis(x_BwKG, 1, -1)[..., None]

    def add(grads: tuple, pair: jax.Array) -> tuple[tuple, None]:
        i, j = pair
        q_BwKGH, k_BwKH, v_BwKH, dy_BwKGH = _one(q, i), _one(k, j), _one(v, j), _one(dy, i)
        distance_ww = _distances(pair, q.shape[2])
        sees = _seen(distance_ww, segments, pair)
        finish = lambda products: scores.finish(products, sees, distance_ww)
        scores_BKGww, pull = jax.vjp(finish, scores.products(q_BwKGH, k_BwKH))
        weights_BKGww = jnp.exp(scores_BKGww - heads_first(_one(log_total, i)))
        dweights_BKGww = dot("BtKGH,BsKH->BKGts", dy_BwKGH, v_BwKH)
        dproducts = pull(weights_BKGww * (dweights_BKGww - heads_first(_one(along, i))))[0].astype(q.dtype)
        dq, dk, dv = grads
        scale = q.shape[-1] ** -0.5
        dq = _add(dq, scale * dot("BKGts,BsKH->BtKGH", dproducts, k_BwKH), i)
        dk = _add(dk, scale * dot("BKGts,BtKGH->BsKH", dproducts, q_BwKGH), j)
        dv = _add(dv, dot("BKGts,BtKGH->BsKH", weights_BKGww.astype(v.dtype), dy_BwKGH), j)
        return (dq, dk, dv), None

    zeros = tuple(jnp.zeros(x.shape, jnp.float32) for x in (q, k, v))
    grads, _ = jax.lax.scan(add, zeros, _pairs(q))
    dslopes = None if slopes_KG is None else jnp.zeros_like(slopes_KG)  # they are not learned
    return (*(dx.astype(x.dtype) for dx, x in zip(grads, (q, k, v))), None, dslopes)


_attend.defvjp(_forward, _backward)
