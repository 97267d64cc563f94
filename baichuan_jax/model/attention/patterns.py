"""Attention patterns: the positions that a query sees; `PATTERNS` is the table. Sparse ones are computed sparsely.

The last two are from Sparse Transformers (Child et al., arXiv 1904.10509, section 4.2); each head attends to the union
of both parts. B batch, T positions, K key/value heads, G query heads of each, H head size; the sequence is
split into n blocks of w = window positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.model.attention.blockwise import blocks
from baichuan_jax.model.attention.xla import Scores, Share, attend, join, same_segment, share
from baichuan_jax.model.config import AttentionConfig


class Pattern(NamedTuple):
    """One kind of attention.

    sees(query position, key position, cfg): bool, broadcast. keys(query position, cfg): how many it sees.
    shares(q_BnwKGH, k_BnwKH, v_BnwKH, segments_Bnw, cfg, scores): attention over whole blocks, in shares of
    [B, n, w, ...]; None for full attention. segments: number of the document of each token, or None.
    """

    sees: Callable[..., jax.Array]
    keys: Callable[[np.ndarray, AttentionConfig], np.ndarray]
    shares: Callable[..., list[Share]] | None

    def attend(
        self,
        q_BTKGH: jax.Array,
        k_BTKH: jax.Array,
        v_BTKH: jax.Array,
        cfg: AttentionConfig,
        scores: Scores,
        segments_BT: jax.Array | None,
    ) -> jax.Array:
        """Return y_BTKGH for whole sequences, positions 0 to T - 1."""
        length = q_BTKGH.shape[1]
        if self.shares is None or length <= cfg.window:  # one block sees all of its past in every pattern
            at = jnp.arange(length)
            sees = _within(self.sees(at[:, None], at, cfg), segments_BT, segments_BT)
            return attend(q_BTKGH, k_BTKH, v_BTKH, sees, at[:, None] - at, scores)
        cut = [None if x is None else blocks(x, cfg.window) for x in (q_BTKGH, k_BTKH, v_BTKH, segments_BT)]
        y_BnwKGH = join(self.shares(*cut, cfg, scores))
        return y_BnwKGH.reshape(q_BTKGH.shape[0], -1, *q_BTKGH.shape[2:])[:, :length].astype(v_BTKH.dtype)


Segments = jax.Array | None


def _within(sees: jax.Array, q_segments: Segments, k_segments: Segments) -> jax.Array:
    """Return the mask restricted to the query's own document."""
    return sees if q_segments is None else sees & same_segment(q_segments, k_segments)


def _near(q: jax.Array, k: jax.Array, v: jax.Array, segments: Segments, cfg: AttentionConfig, scores: Scores) -> Share:
    """Attend to the last w positions, which are in the query's block and the one before."""
    with_previous = lambda x: jnp.concatenate(
        [jnp.pad(x, [(0, 0), (1, 0)] + [(0, 0)] * (x.ndim - 2))[:, :-1], x], axis=2
    )
    n, w = q.shape[1:3]
    distance = jnp.arange(w)[:, None] + w - jnp.arange(2 * w)
    exists = (jnp.arange(n) > 0)[:, None, None] | (jnp.arange(2 * w) >= w)  # nothing is before the first block
    sees = (distance >= 0) & (distance < w) & exists
    sees = _within(sees, segments, None if segments is None else with_previous(segments))
    return share(q, with_previous(k), with_previous(v), sees, distance, scores)


def _every(q: jax.Array, k: jax.Array, v: jax.Array, segments: Segments, cfg: AttentionConfig, scores: Scores) -> Share:
    """Attend to every w-th earlier position: the same place in earlier blocks."""
    by_place = lambda x: jnp.swapaxes(x, 1, 2)
    block = jnp.arange(q.shape[1])
    distance = (block[:, None] - block) * q.shape[2]
    of_place = None if segments is None else by_place(segments)
    sees = _within(distance > 0, of_place, of_place)
    return Share(*map(by_place, share(*map(by_place, (q, k, v)), sees, distance, scores)))


def _own(q: jax.Array, k: jax.Array, v: jax.Array, segments: Segments, cfg: AttentionConfig, scores: Scores) -> Share:
    """Attend to the query's own block."""
    place = jnp.arange(q.shape[2])
    distance = place[:, None] - place
    return share(q, k, v, _within(distance >= 0, segments, segments), distance, scores)


def _summaries(
    q: jax.Array, k: jax.Array, v: jax.Array, segments: Segments, cfg: AttentionConfig, scores: Scores
) -> Share:
    """Attend to the last positions of earlier blocks."""
    batch, n, w = q.shape[:3]
    flat = lambda x: x.reshape(batch, -1, *x.shape[3:])
    at = jnp.arange(n * w)
    k_at = at.reshape(n, w)[:, -cfg.summary :].reshape(-1)
    last = lambda x: flat(x[:, :, -cfg.summary :])
    sees = k_at // w < at[:, None] // w
    if segments is not None:
        sees = _within(sees, flat(segments), last(segments))
    part = share(flat(q), last(k), last(v), sees, at[:, None] - k_at, scores)
    return Share(*(x.reshape(batch, n, w, *x.shape[2:]) for x in part))


PATTERNS = {
    "full": Pattern(
        sees=lambda q, k, cfg: q >= k,
        keys=lambda q, cfg: q + 1,
        shares=None,
    ),
    "local": Pattern(
        sees=lambda q, k, cfg: (q >= k) & (q - k < cfg.window),
        keys=lambda q, cfg: np.minimum(q + 1, cfg.window),
        shares=lambda *args: [_near(*args)],
    ),
    "strided": Pattern(
        sees=lambda q, k, cfg: (q >= k) & ((q - k < cfg.window) | ((q - k) % cfg.window == 0)),
        keys=lambda q, cfg: np.minimum(q + 1, cfg.window) + q // cfg.window,
        shares=lambda *args: [_near(*args), _every(*args)],
    ),
    "fixed": Pattern(
        sees=lambda q, k, cfg: (
            (q >= k) & ((q // cfg.window == k // cfg.window) | (k % cfg.window >= cfg.window - cfg.summary))
        ),
        keys=lambda q, cfg: q % cfg.window + 1 + cfg.summary * (q // cfg.window),
        shares=lambda *args: [_own(*args), _summaries(*args)],
    ),
}


def pairs(pattern: str, length: int, cfg: AttentionConfig) -> int:
    """Return the number of visible (query, key) pairs of a sequence."""
    return int(PATTERNS[pattern].keys(np.arange(length), cfg).sum())
