"""The compiled programs of the engine.

B slots, N requests of one prefill, P padded prompt length, c tokens of a chunk, S cache length, V vocabulary, K steps
of a burst.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.generate.sampling import Sampling, choose
from baichuan_jax.model.config import DecoderConfig, Storage
from baichuan_jax.model.decoder import Cache, Params, apply_cached
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.storage import empty
from baichuan_jax.parallel.layout import Layout

PREFILLED = 1024  # tokens, over all rows, per pass through the decoder: attention scores are this times the cache
SCORED = 256  # likewise if the logits of every token are needed
MOST_PROBABLE = 5  # number of top log-probabilities at each position
NONE = -1  # the token of an inactive row


class Rows(NamedTuple):
    """State of every row.

    token_B: last token, which position_B of the cache will hold. number_B: tokens generated so far. left_B: tokens left
    to generate. seen_BV: whether the text has a token.
    """

    token_B: jax.Array
    position_B: jax.Array
    number_B: jax.Array
    left_B: jax.Array
    seen_BV: jax.Array
    sampling: Sampling


class State(NamedTuple):
    """State passed from one burst to the next."""

    cache: Cache
    rows: Rows


class Programs(NamedTuple):
    """prefill(params, tokens_NP, lengths_N, limits_N, sampling) -> (State of N rows, tokens_N)
    insert(State of B rows, State of N rows, slots_N) -> State; a slot past the end drops its row
    decode(params, State, live_B) -> (State, tokens_KB); NONE for inactive rows
    grow(State, length) -> State with a longer cache
    score(params, tokens_NP, lengths_N) -> (log_p_NP of each next token; the most probable: log_p_NPk, ids_NPk)
    """

    prefill: Callable
    insert: Callable
    decode: Callable
    grow: Callable
    score: Callable


def empty_state(model_cfg: DecoderConfig, exe: Execution, slots: int, length: int, storage: Storage) -> State:
    """Return a state of inactive rows, sharded as the programs return it; compiles nothing."""
    cache = _empty_cache(np, model_cfg, slots, length, storage, exe.dtype)
    cache = jax.device_put(cache, cache_sharding(model_cfg, exe.layout, slots))
    zeros = partial(np.zeros, slots)
    sampling = Sampling(zeros(np.float32), zeros(np.int32), zeros(np.float32), zeros(np.float32), zeros(np.uint32))
    seen_BV = np.zeros((slots, model_cfg.vocab), bool)
    rows = Rows(*(zeros(np.int32) for _ in range(4)), seen_BV, sampling)
    return State(cache, jax.device_put(rows, exe.layout.replicated))


def cache_sharding(model_cfg: DecoderConfig, layout: Layout, slots: int) -> jax.sharding.NamedSharding:
    """Return the sharding of [B, K, S, H]. Raise UserError if the heads are not divisible."""
    return layout.sharding(
        ("batch", "kv_heads", "length", "head_dim"), (slots, model_cfg.kv_heads, 1, model_cfg.head_dim)
    )


def _empty_cache(module, model_cfg: DecoderConfig, rows: int, length: int, storage: Storage, dtype: jnp.dtype) -> Cache:
    make = partial(empty, module, (rows, model_cfg.kv_heads, length, model_cfg.head_dim), storage, dtype)
    return [{"key": make(), "value": make()} for _ in range(model_cfg.layers)]


@lru_cache
def engine_programs(
    model_cfg: DecoderConfig,
    exe: Execution,
    slots: int,
    end_ids: tuple[int, ...],
    burst: int,
    storage: Storage,
) -> Programs:
    """Return the programs of an engine; engines of the same settings share them, compiled. storage: of the cache."""
    dtype, layout = exe.dtype, exe.layout

    def forward(params: Params, tokens_BT: jax.Array, place_BT: jax.Array, cache: Cache, places_BW=None) -> tuple:
        return apply_cached(model_cfg, params, Batch(tokens_BT, positions=place_BT), cache, exe, places_BW)

    def advance(rows: Rows, logits_BV: jax.Array, active_B: jax.Array) -> Rows:
        """Choose the next token of the active rows."""
        chosen_B = choose(logits_BV, rows.seen_BV, rows.number_B, rows.sampling)
        token_B = jnp.where(active_B, chosen_B, rows.token_B)
        ended_B = jnp.any(token_B[:, None] == jnp.array(end_ids, jnp.int32), axis=1)
        left_B = jnp.where(active_B, jnp.where(ended_B, 0, rows.left_B - 1), rows.left_B)
        seen_BV = rows.seen_BV.at[jnp.arange(len(token_B)), token_B].set(True)
        return Rows(token_B, rows.position_B + 1, rows.number_B + 1, left_B, seen_BV, rows.sampling)

    def prefill(
        params: Params, tokens_NP: jax.Array, lengths_N: jax.Array, limits_N: jax.Array, sampling: Sampling
    ) -> tuple[State, jax.Array]:
        count, padded = tokens_NP.shape
        # Cache entries of padding are overwritten before a query can see them.
        cache = _empty_cache(jnp, model_cfg, count, padded, storage, dtype)
        last_N = lengths_N - 1

        def through(start: jax.Array, tokens_Nc: jax.Array, place_Nc: jax.Array, carry: tuple) -> tuple:
            logits_NV, cache = carry
            inside_N = jnp.clip(last_N - start, 0, tokens_Nc.shape[1] - 1)
            found_N1V, cache = forward(params, tokens_Nc, place_Nc, cache, places_BW=inside_N[:, None])
            is_last_N = (last_N >= start) & (last_N < start + tokens_Nc.shape[1])
            return jnp.where(is_last_N[:, None], found_N1V[:, 0], logits_NV), cache

        logits_NV = jnp.zeros((count, model_cfg.vocab), jnp.float32)
        logits_NV, cache = in_chunks(through, tokens_NP, lengths_N, PREFILLED, (logits_NV, cache))
        in_text_NP = jnp.where(jnp.arange(padded) < lengths_N[:, None], tokens_NP, model_cfg.vocab)
        seen_NV = jnp.zeros((count, model_cfg.vocab), bool)
        seen_NV = seen_NV.at[jnp.arange(count)[:, None], in_text_NP].set(True, mode="drop")
        none_N = jnp.zeros(count, jnp.int32)
        rows = Rows(none_N, last_N, none_N, limits_N, seen_NV, sampling)
        rows = advance(rows, logits_NV, jnp.ones(count, bool))
        return State(cache, rows), rows.token_B

    def insert(state: State, new: State, slots_N: jax.Array) -> State:
        cache = jax.tree.map(
            lambda old, new: old.at[slots_N, :, : new.shape[2]].set(new, mode="drop"), state.cache, new.cache
        )
        return State(cache, jax.tree.map(lambda old, new: old.at[slots_N].set(new, mode="drop"), state.rows, new.rows))

    def decode(params: Params, state: State, live_B: jax.Array) -> tuple[State, jax.Array]:
        length = state.cache[0]["key"].shape[2]

        def step(state: State, _: None) -> tuple[State, jax.Array]:
            rows = state.rows
            active_B = live_B & (rows.left_B > 0)
            place_B = jnp.where(active_B, rows.position_B, length)  # past the end: not stored
            logits_B1V, cache = forward(params, rows.token_B[:, None], place_B[:, None], state.cache)
            rows = advance(rows, logits_B1V[:, 0], active_B)
            return State(cache, rows), jnp.where(active_B, rows.token_B, NONE)

        return jax.lax.scan(step, state, None, length=burst)

    def grow(state: State, length: int) -> State:
        longer = lambda x: jnp.pad(x, [(0, 0), (0, 0), (0, length - x.shape[2]), (0, 0)])
        return State(jax.tree.map(longer, state.cache), state.rows)

    def score(params: Params, tokens_NP: jax.Array, lengths_N: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        count, padded = tokens_NP.shape
        next_NP = jnp.pad(tokens_NP[:, 1:], ((0, 0), (0, 1)))
        most = min(MOST_PROBABLE, model_cfg.vocab)

        def through(start: jax.Array, tokens_Nc: jax.Array, place_Nc: jax.Array, carry: tuple) -> tuple:
            found, cache = carry
            logits_NcV, cache = forward(params, tokens_Nc, place_Nc, cache)
            next_Nc = jnp.take(next_NP, place_Nc[0], axis=1, mode="fill", fill_value=0)
            own_Nc = jnp.take_along_axis(logits_NcV, next_Nc[:, :, None], axis=-1)[:, :, 0]
            top_Nck, ids_Nck = jax.lax.top_k(logits_NcV, most)
            norm_Nc = jax.nn.logsumexp(logits_NcV, axis=-1)
            parts = own_Nc - norm_Nc, top_Nck - norm_Nc[:, :, None], ids_Nck
            put = lambda old, new: old.at[:, place_Nc[0]].set(new, mode="drop")
            return jax.tree.map(put, found, parts), cache

        zeros = lambda *shape, of=jnp.float32: jnp.zeros((count, padded, *shape), of)
        found = zeros(), zeros(most), zeros(most, of=jnp.int32)
        cache = _empty_cache(jnp, model_cfg, count, padded, "compute", dtype)
        return in_chunks(through, tokens_NP, lengths_N, SCORED, (found, cache))[0]

    whole, place = layout.replicated, State(cache_sharding(model_cfg, layout, slots), layout.replicated)
    return Programs(
        jax.jit(prefill, out_shardings=(place, whole)),
        jax.jit(insert, out_shardings=place, donate_argnums=0),
        jax.jit(decode, out_shardings=(place, whole), donate_argnums=1),
        jax.jit(grow, out_shardings=place, static_argnums=1),
        jax.jit(score, out_shardings=whole),
    )


def in_chunks(through: Callable, tokens_NP: jax.Array, lengths_N: jax.Array, most: int, carry: tuple) -> tuple:
    """Return what through(start, tokens_Nc, place_Nc, carry) makes of `carry`, from the first chunk to the last text.

    most: tokens of a chunk, over all rows. So the memory that attention takes grows with a text, not with its square,
    and padding beyond the longest costs nothing. A place past the end is padding, as `apply_cached` reads it.
    """
    count, padded = tokens_NP.shape
    chunk = min(padded, max(1, most // count))
    tokens_NP = jnp.pad(tokens_NP, ((0, 0), (0, -padded % chunk)))

    def step(number: jax.Array, carry: tuple) -> tuple:
        start = number * chunk
        place_Nc = jnp.broadcast_to(start + jnp.arange(chunk), (count, chunk))
        return through(start, jax.lax.dynamic_slice_in_dim(tokens_NP, start, chunk, axis=1), place_Nc, carry)

    if chunk == padded:
        return step(jnp.int32(0), carry)
    return jax.lax.fori_loop(0, -(-jnp.max(lengths_N) // chunk), step, carry)
