"""Scaled dot-product attention (Vaswani et al., arXiv 1706.03762) in plain XLA operations; softmax in float32.

`attend_xla` computes full causal attention, `attend` supports any mask, `share` computes attention to some of the keys.

B batch, T query positions, S key positions, K key/value heads, G query heads of each, H head size; X independent
blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from baichuan_jax.model.execution import Execution
from baichuan_jax.model.layers import capped

BAND, BANDS = 128, 4  # fewest queries of a band; most bands
NEVER = jnp.finfo(jnp.float32).min


def same_segment(q_segments_XT: jax.Array, k_segments_XS: jax.Array) -> jax.Array:
    """Return whether key and query are in the same document, bool [X, T, S]; X may be several axes."""
    return q_segments_XT[..., :, None] == k_segments_XS[..., None, :]


class Scores(NamedTuple):
    """Operations on scores before the softmax. soft_cap: 0 is off. slopes_KG: subtracted per position of distance."""

    soft_cap: float
    slopes_KG: jax.Array | None

    def __call__(
        self, q_XTKGH: jax.Array, k_XSKH: jax.Array, sees_XTS: jax.Array, distance_XTS: jax.Array
    ) -> jax.Array:
        """Return scores_XKGTS in float32; X may be several axes, which `sees` and `distance` may omit."""
        return self.finish(self.products(q_XTKGH, k_XSKH), sees_XTS, distance_XTS)

    def products(self, q_XTKGH: jax.Array, k_XSKH: jax.Array) -> jax.Array:
        """Return the scaled products of queries and keys."""
        products = jnp.einsum("...TKGH,...SKH->...KGTS", q_XTKGH, k_XSKH, preferred_element_type=jnp.float32)
        return products * q_XTKGH.shape[-1] ** -0.5

    def finish(self, scores: jax.Array, sees_XTS: jax.Array, distance_XTS: jax.Array) -> jax.Array:
        """Cap, bias and mask products."""
        scores = capped(scores, self.soft_cap)
        per_head = lambda x_XTS: x_XTS[..., None, None, :, :]
        if self.slopes_KG is not None:
            scores -= self.slopes_KG[:, :, None, None] * per_head(distance_XTS)
        return jnp.where(per_head(sees_XTS), scores, NEVER)


def attend(
    q_BTKGH: jax.Array,
    k_BSKH: jax.Array,
    v_BSKH: jax.Array,
    sees_BTS: jax.Array,
    distance_BTS: jax.Array,
    scores: Scores,
    band: int = 0,
) -> jax.Array:
    """Return y_BTKGH.

    band: number of queries whose scores are computed at once, over the keys up to the last of them; 0: all queries and
    keys.
    """
    heads_first = jnp.moveaxis(q_BTKGH, 1, 3), jnp.swapaxes(k_BSKH, 1, 2), jnp.swapaxes(v_BSKH, 1, 2)
    y_BKGTH = _attend(*heads_first, sees_BTS, distance_BTS, scores.slopes_KG, scores.soft_cap, band or q_BTKGH.shape[1])
    return jnp.moveaxis(y_BKGTH, 3, 1)


def band_size(length: int) -> int:
    """Return the number of queries in a band; a band uses all keys up to its last query."""
    band = max(BAND, length // BANDS)
    return length if length % band else band


def attend_xla(
    q_BTKGH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    scores: Scores,
    segments_BT: jax.Array | None,
    exe: Execution,
) -> jax.Array:
    """Return y_BTKGH; the scores of a band omit keys that none of its queries sees."""
    at = jnp.arange(q_BTKGH.shape[1])
    distance_TS = at[:, None] - at
    sees = distance_TS >= 0
    if segments_BT is not None:
        sees = sees & same_segment(segments_BT, segments_BT)
    return attend(q_BTKGH, k_BTKH, v_BTKH, sees, distance_TS, scores, band_size(len(at)))


@partial(jax.custom_vjp, nondiff_argnums=(6, 7))
def _attend(
    q_BKGTH: jax.Array,
    k_BKSH: jax.Array,
    v_BKSH: jax.Array,
    sees_BTS: jax.Array,
    distance_BTS: jax.Array,
    slopes_KG: jax.Array | None,
    soft_cap: float,
    band: int,
) -> jax.Array:
    """Return y_BKGTH.

    Both passes multiply arrays in the dtype of the queries, and sum in float32; autodiff would multiply float32
    gradients of the scores. XLA for CPU multiplies with the heads first, so each array is transposed once, and not in
    every product.
    """
    return _forward(q_BKGTH, k_BKSH, v_BKSH, sees_BTS, distance_BTS, slopes_KG, soft_cap, band)[0]


_dot = partial(jnp.einsum, preferred_element_type=jnp.float32)


def _scaled_products(q_BKGTH: jax.Array, k_BKSH: jax.Array) -> jax.Array:
    return q_BKGTH.shape[-1] ** -0.5 * _dot("BKGTH,BKSH->BKGTS", q_BKGTH, k_BKSH)


def _bands(num_queries: int, num_keys: int, band: int) -> list[tuple[slice, slice]]:
    """Return the queries of each band and the keys that they may see."""
    stops = range(band, num_queries + 1, band)
    return [(slice(stop - band, stop), slice(num_keys - num_queries + stop)) for stop in stops]


def _forward(
    q_BKGTH: jax.Array,
    k_BKSH: jax.Array,
    v_BKSH: jax.Array,
    sees_BTS: jax.Array,
    distance_BTS: jax.Array,
    slopes_KG: jax.Array | None,
    soft_cap: float,
    band: int,
) -> tuple[jax.Array, tuple]:
    """Return y and the residuals, among them the softmax of every band."""
    y, weights, scores, dtype = [], [], Scores(soft_cap, slopes_KG), v_BKSH.dtype
    for t, s in _bands(q_BKGTH.shape[3], k_BKSH.shape[2], band):
        products_BKGTS = _scaled_products(q_BKGTH[..., t, :], k_BKSH[:, :, s])
        scores_BKGTS = scores.finish(products_BKGTS, sees_BTS[..., t, s], distance_BTS[..., t, s])
        weights_BKGTS = jax.nn.softmax(scores_BKGTS, axis=-1)
        y.append(_dot("BKGTS,BKSH->BKGTH", weights_BKGTS.astype(dtype), v_BKSH[:, :, s]).astype(dtype))
        weights.append(weights_BKGTS)
    return jnp.concatenate(y, axis=3), (q_BKGTH, k_BKSH, v_BKSH, sees_BTS, distance_BTS, slopes_KG, weights)


def _backward(soft_cap: float, band: int, saved: tuple, dy_BKGTH: jax.Array) -> tuple:
    q_BKGTH, k_BKSH, v_BKSH, sees_BTS, distance_BTS, slopes_KG, weights = saved
    scores, scale, dtype = Scores(soft_cap, slopes_KG), q_BKGTH.shape[-1] ** -0.5, q_BKGTH.dtype
    dq, dk_BKSH, dv_BKSH = [], jnp.zeros(k_BKSH.shape, jnp.float32), jnp.zeros(v_BKSH.shape, jnp.float32)
    for (t, s), weights_BKGTS in zip(_bands(q_BKGTH.shape[3], k_BKSH.shape[2], band), weights):
        q, k, v, dy = q_BKGTH[..., t, :], k_BKSH[:, :, s], v_BKSH[:, :, s], dy_BKGTH[..., t, :]
        finish = partial(scores.finish, sees_XTS=sees_BTS[..., t, s], distance_XTS=distance_BTS[..., t, s])
        _, pull = jax.vjp(finish, _scaled_products(q, k))  # XLA computes the products again if there is a soft cap
        dweights_BKGTS = _dot("BKGTH,BKSH->BKGTS", dy, v)
        along_BKGT1 = jnp.sum(dweights_BKGTS * weights_BKGTS, axis=-1, keepdims=True)
        dproducts_BKGTS = (scale * pull(weights_BKGTS * (dweights_BKGTS - along_BKGT1))[0]).astype(dtype)
        dq.append(_dot("BKGTS,BKSH->BKGTH", dproducts_BKGTS, k).astype(dtype))
        dk_BKSH = dk_BKSH.at[:, :, s].add(_dot("BKGTS,BKGTH->BKSH", dproducts_BKGTS, q))
        dv_BKSH = dv_BKSH.at[:, :, s].add(_dot("BKGTS,BKGTH->BKSH", weights_BKGTS.astype(dtype), dy))
    dslopes = None if slopes_KG is None else jnp.zeros_like(slopes_KG)  # they are not learned
    return jnp.concatenate(dq, axis=3), dk_BKSH.astype(dtype), dv_BKSH.astype(dtype), None, None, dslopes


_attend.defvjp(_forward, _backward)


class Share(NamedTuple):
    """Unnormalised attention of queries to some of their keys.

    y_XTKGH: float32. top_XTKG: largest score. total_XTKG: sum of exp(score - top).
    """

    y_XTKGH: jax.Array
    top_XTKG: jax.Array
    total_XTKG: jax.Array


def share(
    q_XTKGH: jax.Array,
    k_XSKH: jax.Array,
    v_XSKH: jax.Array,
    sees_XTS: jax.Array,
    distance_XTS: jax.Array,
    scores: Scores,
) -> Share:
    """Return the share of attention to these keys; a query that sees none of them has weight 0."""
    scores_XKGTS = scores(q_XTKGH, k_XSKH, sees_XTS, distance_XTS)
    top_XKGT = jax.lax.stop_gradient(jnp.max(scores_XKGTS, axis=-1))
    weights_XKGTS = jnp.exp(scores_XKGTS - top_XKGT[..., None])
    weighted = weights_XKGTS.astype(v_XSKH.dtype)
    y_XTKGH = jnp.einsum("...KGTS,...SKH->...TKGH", weighted, v_XSKH, preferred_element_type=jnp.float32)
    heads_last = lambda x_XKGT: jnp.moveaxis(x_XKGT, -1, -3)
    return Share(y_XTKGH, heads_last(top_XKGT), heads_last(jnp.sum(weights_XKGTS, axis=-1)))


def merge(shares: Sequence[Share]) -> Share:
    """Return the share over the union of the keys, which must be disjoint."""
    top = jnp.max(jnp.stack([part.top_XTKG for part in shares]), axis=0)
    scales = [jnp.exp(part.top_XTKG - top) for part in shares]
    total = sum(part.total_XTKG * scale for part, scale in zip(shares, scales))
    return Share(sum(part.y_XTKGH * scale[..., None] for part, scale in zip(shares, scales)), top, total)


def join(shares: Sequence[Share]) -> jax.Array:
    """Return normalised attention over the keys of all shares."""
    whole = merge(shares)
    return whole.y_XTKGH / whole.total_XTKG[..., None]
