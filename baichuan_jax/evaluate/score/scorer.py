"""Log-likelihoods of continuations, as lm-eval defines them.

B rows, T positions of a row after the common prefix, P positions of the prefix, W ids predicted in a row, V vocabulary,
K key/value heads, H head size, L layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.evaluate.score.plan import Group, Row, batches, bucket, groups_of, rows_of
from baichuan_jax.generate.sampling import most_probable
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Cache, Params, apply, apply_cached, init_cache
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.loss import token_nll

Request = tuple[Sequence[int], Sequence[int]]
PAIRS = 4  # ids predicted in a row, of the smallest bucket


class Score(NamedTuple):
    """log p(continuation | context) in nats, and whether greedy decoding would write the continuation."""

    log_p: float
    greedy: bool


class Scorer:
    """Score requests of (context ids, continuation ids), both not empty.

    Keys and values of a common prefix are computed once. Shapes are padded to buckets, so the number of programs does
    not grow with the number of requests. tokens: per batch.
    """

    def __init__(self, model_cfg: DecoderConfig, params: Params, exe: Execution, tokens: int = 2048):
        self._model_cfg, self._params, self._tokens = model_cfg, params, tokens
        self._shards = exe.layout.batch_shards
        self._counts = [self._shards * 4**power for power in range(8)]
        self._begin, self._score = scorer_programs(model_cfg, exe)
        self.programs: set[tuple[int, ...]] = set()

    def __call__(self, requests: Sequence[Request], known: Set[int] = frozenset()) -> Iterator[list[tuple[int, Score]]]:
        """Yield lists of (request number, score), one per batch.

        known: numbers of requests whose scores are not needed. A batch is skipped only if it has no others, so an
        interruption does not change any bit of a score.
        """
        for group in groups_of(rows_of(requests, self._model_cfg.context)):
            cut = batches(group, self._tokens, self._counts)
            if wanted := [rows for rows in cut if not known.issuperset(_numbers(rows))]:
                before = self._shared(group)
                for rows in wanted:
                    yield self._run(before, group.shared, rows)

    def _shared(self, group: Group) -> Cache | None:
        """Return keys and values of the common prefix of a group, padded to a bucket; None without a prefix."""
        if not group.shared:
            return None
        padded = bucket(group.shared, self._model_cfg.context)
        tokens_BT = np.zeros((self._shards, padded), np.int32)
        tokens_BT[:, : group.shared] = group.rows[0].ids[: group.shared]
        self.programs.add((padded,))
        return self._begin(self._params, tokens_BT, np.int32(group.shared))

    def _run(self, before: Cache | None, shared: int, rows: list[Row]) -> list[tuple[int, Score]]:
        count = next(count for count in self._counts if count >= len(rows))
        length = bucket(max(len(row.ids) for row in rows) - shared, self._model_cfg.context)
        pairs = PAIRS
        while pairs < max(row.pairs for row in rows):
            pairs *= 4
        tokens_BT, lengths_B = np.zeros((count, length), np.int32), np.zeros(count, np.int32)
        places_BW, targets_BW = (np.zeros((count, pairs), np.int32) for _ in range(2))
        for number, row in enumerate(rows):
            lengths_B[number] = len(row.ids) - shared
            tokens_BT[number, : lengths_B[number]] = row.ids[shared:]
            places = [place for _, wanted in row.wanted for place in range(-len(wanted), 0)]
            places_BW[number, : row.pairs] = lengths_B[number] + np.array(places)
            targets_BW[number, : row.pairs] = [id for _, wanted in row.wanted for id in wanted]
        self.programs.add((before["key"].shape[3] if before else 0, count, length, pairs))
        arrays = (tokens_BT, lengths_B, places_BW, targets_BW)
        nll_BW, best_BW = map(np.asarray, self._score(self._params, before, np.int32(shared), *arrays))
        return [score for number, row in enumerate(rows) for score in _of_row(row, nll_BW[number], best_BW[number])]


def _numbers(rows: Sequence[Row]) -> Iterator[int]:
    return (number for row in rows for number, _ in row.wanted)


def _of_row(row: Row, nll_W: np.ndarray, best_W: np.ndarray) -> Iterator[tuple[int, Score]]:
    start = 0
    for number, wanted in row.wanted:
        end = start + len(wanted)
        yield number, Score(-float(nll_W[start:end].sum(dtype=np.float64)), bool(best_W[start:end].all()))
        start = end


@lru_cache
def scorer_programs(model_cfg: DecoderConfig, exe: Execution):
    """Return begin(params, tokens_BP, shared) -> cache, and
    score(params, cache, shared, tokens_BT, lengths_B, places_BW, targets_BW) -> (nll_BW in nats, is_greedy_BW).

    Without a cache a row is a whole sequence, and attention is computed as in training.
    """
    forward = partial(apply_cached, model_cfg, exe=exe)

    def begin(params: Params, tokens_BP: jax.Array, shared: jax.Array) -> Cache:
        count, padded = tokens_BP.shape
        place_P = jnp.arange(padded)
        place_BP = jnp.broadcast_to(jnp.where(place_P < shared, place_P, padded), tokens_BP.shape)
        nowhere_BW = jnp.zeros((count, 1), jnp.int32)
        cache = init_cache(model_cfg, count, padded, exe.dtype)
        return forward(params, Batch(tokens_BP, positions=place_BP), cache, places_BW=nowhere_BW)[1]

    def score(
        params: Params,
        before: Cache | None,
        shared: jax.Array,
        tokens_BT: jax.Array,
        lengths_B: jax.Array,
        places_BW: jax.Array,
        targets_BW: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        count, length = tokens_BT.shape
        if before is None:
            logits_BWV = apply(model_cfg, params, Batch(tokens_BT), exe, places_BW)
        else:
            cache = jax.tree.map(lambda x_LBKPH: _widen(x_LBKPH, count, length), before)
            place_T = jnp.arange(length)
            place_BT = jnp.where(place_T < lengths_B[:, None], shared + place_T, cache["key"].shape[3])
            logits_BWV, _ = forward(params, Batch(tokens_BT, positions=place_BT), cache, places_BW=places_BW)
        return token_nll(logits_BWV, targets_BW), most_probable(logits_BWV) == targets_BW

    return jax.jit(begin), jax.jit(score, out_shardings=exe.layout.replicated)


def _widen(x_LBKPH: jax.Array, count: int, length: int) -> jax.Array:
    """Repeat the prefix for this many rows, and make room for this many tokens after it."""
    x_LBKPH = jnp.repeat(x_LBKPH, count // x_LBKPH.shape[1], axis=1)
    return jnp.pad(x_LBKPH, [(0, 0), (0, 0), (0, 0), (0, length), (0, 0)])
