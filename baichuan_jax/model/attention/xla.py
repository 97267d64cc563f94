"""Full causal attention with the scores of a band of queries in memory at once.

B batch, T positions, K key/value heads, G query heads of each, H head size.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from baichuan_jax.model.attention.scores import Scores, attend, same_segment
from baichuan_jax.model.execution import Execution

BAND, BANDS = 128, 4  # fewest queries of a band; most bands


def band_size(length: int) -> int:
    """Return how many queries are compared with the same keys: all keys up to the last of these queries."""
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
    """Return y_BTKGH; keys that no query of a band sees are left out of its scores."""
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
