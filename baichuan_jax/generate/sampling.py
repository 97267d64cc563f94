"""Sampling of the next token with settings per row. B rows, V vocabulary."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

COLDEST = 1e-30  # lower bound of a temperature above 0


class Sampling(NamedTuple):
    """Settings of `SampleConfig` per row; seed_B is uint32. They are inputs of a program, not constants."""

    temperature_B: jax.Array
    top_k_B: jax.Array
    top_p_B: jax.Array
    penalty_B: jax.Array
    seed_B: jax.Array


def choose(logits_BV: jax.Array, seen_BV: jax.Array, number_B: jax.Array, sampling: Sampling) -> jax.Array:
    """Return token ids [B], int32: the most probable at temperature 0, else a draw.

    seen_BV: whether the row's text has a token. number_B: tokens chosen so far; it and the seed determine the draw.
    """
    logits_BV = penalise(logits_BV, seen_BV, sampling.penalty_B)
    best_B = most_probable(logits_BV)
    warm_B = sampling.temperature_B > 0

    def draw(logits_BV: jax.Array) -> jax.Array:
        # Relative to the largest, and divided by at least COLDEST: overflow gives -inf and never NaN.
        below_BV = logits_BV - jnp.max(logits_BV, axis=-1, keepdims=True)
        scaled_BV = below_BV / jnp.where(warm_B, jnp.maximum(sampling.temperature_B, COLDEST), 1)[:, None]
        cuts_B = (sampling.top_k_B > 0) | (sampling.top_p_B < 1)
        cut = lambda x_BV: truncate(x_BV, sampling.top_k_B, sampling.top_p_B)
        scaled_BV = jax.lax.cond(jnp.any(warm_B & cuts_B), cut, lambda x_BV: x_BV, scaled_BV)
        keys_B = jax.vmap(lambda seed, number: jax.random.fold_in(jax.random.key(seed), number))(
            sampling.seed_B, number_B
        )
        drawn_B = jax.vmap(jax.random.categorical)(keys_B, scaled_BV).astype(jnp.int32)
        return jnp.where(warm_B, drawn_B, best_B)

    # If every row is greedy, skip the draw: noise over the vocabulary costs more than a small model's step.
    return jax.lax.cond(jnp.any(warm_B), draw, lambda _: best_B, logits_BV)


def most_probable(logits: jax.Array) -> jax.Array:
    """Return the index of the largest logit [...], the first of ties (ten times as fast as argmax on CPU)."""
    tokens = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    largest = jnp.max(logits, axis=-1, keepdims=True)
    last = logits.shape[-1] - 1  # result if a logit is NaN, and none equals the largest
    return jnp.min(jnp.where(logits == largest, tokens, last), axis=-1)


def penalise(logits_BV: jax.Array, seen_BV: jax.Array, penalty_B: jax.Array) -> jax.Array:
    """Apply the repetition penalty of CTRL (arXiv 1909.05858) to seen tokens."""
    penalty_B1 = penalty_B[:, None]
    less_BV = jnp.where(logits_BV > 0, logits_BV / penalty_B1, logits_BV * penalty_B1)
    return jnp.where(seen_BV, less_BV, logits_BV)


def truncate(logits_BV: jax.Array, top_k_B: jax.Array, top_p_B: jax.Array) -> jax.Array:
    """Return logits with -inf outside the top k, and outside the nucleus of these.

    The nucleus is the smallest set of most probable tokens whose total reaches top_p. Ties are kept together.
    """
    p_BV = jax.nn.softmax(logits_BV, axis=-1)
    count_B = jnp.where(top_k_B > 0, top_k_B, p_BV.shape[-1]).astype(jnp.float32)
    kept_BV = p_BV >= _threshold(p_BV, jnp.ones_like(p_BV), count_B)
    p_BV = jnp.where(kept_BV, p_BV, 0)
    p_BV /= jnp.sum(p_BV, axis=-1, keepdims=True)
    least_B1 = jnp.where(top_p_B[:, None] < 1, _threshold(p_BV, p_BV, top_p_B), 0)
    return jnp.where(kept_BV & (p_BV >= least_B1), logits_BV, -jnp.inf)


def _threshold(p_BV: jax.Array, weight_BV: jax.Array, target_B: jax.Array) -> jax.Array:
    """Return the largest t [B, 1] such that the weights where p >= t sum to at least the target, and to more than 0.

    Bisect the bits of t, which have the order of the numbers: exact, and ten times as fast as sorting.
    """

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low_B, high_B = bounds
        middle_B = (low_B + high_B) // 2
        t_B1 = jax.lax.bitcast_convert_type(middle_B, jnp.float32)[:, None]
        total_B = jnp.sum(jnp.where(p_BV >= t_B1, weight_BV, 0), axis=-1)
        enough_B = (total_B >= target_B) & (total_B > 0)  # a tiny target may have been rounded to 0
        return jnp.where(enough_B, middle_B, low_B), jnp.where(enough_B, high_B, middle_B)

    above_one = int(np.float32(1).view(np.int32)) + 1
    start = (jnp.zeros_like(target_B, jnp.int32), jnp.full_like(target_B, above_one, jnp.int32))
    low_B, _ = jax.lax.fori_loop(0, above_one.bit_length(), halve, start)
    return jax.lax.bitcast_convert_type(low_B, jnp.float32)[:, None]
