"""Scaled dot-product attention (Vaswani et al., arXiv 1706.03762) in plain XLA operations; softmax in float32.

`attend_xla` computes full causal attention, `attend` supports any mask, `share` computes attention to some of the keys.

B batch, T query positions, S key positions, K key/value heads, G query heads of each, H head size; X independent
blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
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
) -> jax.Array:
    """Return y_BTKGH with every score in memory at once."""
    scores_BKGTS = scores(q_BTKGH, k_BSKH, sees_BTS, distance_BTS)
    weights_BKGTS = jax.nn.softmax(scores_BKGTS, axis=-1).astype(v_BSKH.dtype)
    return jnp.einsum("BKGTS,BSKH->BTKGH", weights_BKGTS, v_BSKH)


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
    length = q_BTKGH.shape[1]
    band = band_size(length)

    def of_band(end: int) -> jax.Array:
        queries, keys = slice(end - band, end), slice(end)
        distance_TS = jnp.arange(end - band, end)[:, None] - jnp.arange(end)
        sees = distance_TS >= 0
        if segments_BT is not None:
            sees = sees & same_segment(segments_BT[:, queries], segments_BT[:, keys])
        return attend(q_BTKGH[:, queries], k_BTKH[:, keys], v_BTKH[:, keys], sees, distance_TS, scores)

    return jnp.concatenate([of_band(end) for end in range(band, length + 1, band)], axis=1)


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
