"""Continuous batching: requests share a fixed number of slots; the next one joins as soon as a slot is free."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.generate.config import EngineConfig, SampleConfig
from baichuan_jax.generate.groups import groups
from baichuan_jax.generate.programs import NONE, Sampling, empty_state, engine_programs
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, for_decoding
from baichuan_jax.model.execution import Execution
from baichuan_jax.tokenizer.interface import check_ids

SHORTEST = 32  # bucket of a prompt or a cache, in tokens


@dataclass(eq=False)
class Request:
    """A prompt's ids and the sampling settings. ids: generated so far, without the end id.

    done: the reason that generation ended: an end id, the maximum length, or cancellation; "" while it runs. ending:
    the end id, if any. stops: ids that end it beside those of the engine, such as the end of an answer in a chat.
    """

    prompt: list[int]
    sample: SampleConfig
    ids: list[int] = field(default_factory=list)
    done: Literal["", "end", "length", "cancelled"] = ""
    ending: list[int] = field(default_factory=list)
    stops: tuple[int, ...] = ()


class Scores(NamedTuple):
    """Log-probabilities of a text. log_p: of each of its T ids given the previous ones, from the second on [T - 1].

    top_log_p, top_ids: of the most probable ids at each place, in descending order [T - 1, k].
    """

    log_p: np.ndarray
    top_log_p: np.ndarray
    top_ids: np.ndarray


class WarmUp(NamedTuple):
    """Number of programs compiled ahead, of programs in total, and the seconds it took."""

    compiled: int
    programs: int
    seconds: float


class Engine:
    """A decoder that continues many prompts at once.

    slots: maximum number of requests at once. context: maximum tokens of a text. vocab: size of the model's token
    table.

    The result of a request depends only on its prompt, settings and seed, not on the other requests in the batch.
    Shapes are padded to powers of two, so there are few programs. Each is compiled on first use; `warm_up` compiles
    ahead.
    """

    def __init__(
        self,
        cfg: EngineConfig,
        model_cfg: DecoderConfig,
        params: Params,
        end_ids: tuple[int, ...],
        exe: Execution,
    ):
        """params: as in training. end_ids: ids that end a text."""
        shards = exe.layout.batch_shards
        self.slots = -(-cfg.slots // shards) * shards
        self.context, self.vocab = model_cfg.context, model_cfg.vocab
        self._end_ids = end_ids
        self._params = for_decoding(model_cfg, params, cfg.weights, exe.dtype)
        self._empty = partial(empty_state, model_cfg, exe, storage=cfg.cache)
        self._run = engine_programs(model_cfg, exe, self.slots, end_ids, cfg.burst, cfg.cache)
        self._counts = [n for n in (shards * 4**power for power in range(16)) if n < self.slots] + [self.slots]
        self._waiting: deque[Request] = deque()
        self._active: dict[int, Request] = {}
        self._length, self._state = 0, None

    def check(self, prompt: Sequence[int], sample: SampleConfig) -> None:
        """Raise UserError if a prompt and its continuation exceed the context, or an id the token table.

        Thread-safe.
        """
        require(len(prompt) > 0, "prompt", list(prompt), "one token or more")
        check_ids(prompt, self.vocab)
        room = self.context - len(prompt)
        if room <= 0:
            raise UserError(
                f"the prompt has {len(prompt)} tokens; shorten it: the model's context is {self.context} tokens, and a "
                "continuation has one at least"
            )
        expected = f"at most {room} after this prompt of {len(prompt)} tokens"
        hint = f"the model's context is {self.context} tokens"
        require(sample.max_tokens <= room, "SampleConfig.max_tokens", sample.max_tokens, expected, hint)

    def submit(self, prompt: Sequence[int], sample: SampleConfig, stops: tuple[int, ...] = ()) -> Request:
        """Queue a prompt. stops: more ids that end it. Raise UserError as `check` does."""
        self.check(prompt, sample)
        self._waiting.append(request := Request(list(prompt), sample, stops=stops))
        return request

    def cancel(self, request: Request) -> None:
        """Cancel a request and free its slot."""
        if request.done:
            return
        request.done = "cancelled"
        self._waiting = deque(waiting for waiting in self._waiting if waiting is not request)
        self._active = {slot: active for slot, active in self._active.items() if active is not request}

    @property
    def busy(self) -> bool:
        """Whether any request is waiting or active."""
        return bool(self._waiting or self._active)

    def step(self) -> list[Request]:
        """Admit waiting requests to free slots and decode one burst. Return the requests that advanced."""
        changed = self._admit()
        if self._active:
            live_B = np.zeros(self.slots, bool)
            live_B[list(self._active)] = True
            self._state, tokens_KB = self._run.decode(self._params, self._state, live_B)
            tokens_BK = np.asarray(tokens_KB).T.tolist()
            for slot, request in list(self._active.items()):
                self._extend(slot, request, tokens_BK[slot])
                changed.append(request)
        return list(dict.fromkeys(changed))

    def _extend(self, slot: int, request: Request, tokens: list[int]) -> None:
        """Add tokens to a request; free its slot if it has finished."""
        for token in tokens:
            if token == NONE or request.done:
                break
            if token in self._end_ids or token in request.stops:
                request.done, request.ending = "end", [token]
            else:
                request.ids.append(token)
                if len(request.ids) == request.sample.max_tokens:
                    request.done = "length"
        if request.done:
            del self._active[slot]

    def _admit(self) -> list[Request]:
        """Prefill as many waiting requests as there are free slots, grouped by length."""
        free = [slot for slot in range(self.slots) if slot not in self._active]
        joining = sorted((self._waiting.popleft() for _ in free[: len(self._waiting)]), key=lambda r: len(r.prompt))
        if not joining:
            return []
        self._fit(max(len(request.prompt) + request.sample.max_tokens for request in joining))
        padded = [self._bucket(len(request.prompt)) for request in joining]
        for start, end, count in groups(padded, self._counts):
            self._prefill(joining[start:end], count, free)
        return joining

    def _prefill(self, group: list[Request], count: int, free: list[int]) -> None:
        """Prefill the prompts of a group and insert them into free slots; padding rows are dropped."""
        padded = self._bucket(max(len(request.prompt) for request in group))
        tokens_NP, lengths_N = np.zeros((count, padded), np.int32), np.ones(count, np.int32)
        limits_N, slots_N = np.zeros(count, np.int32), np.full(count, self.slots, np.int32)
        for row, request in enumerate(group):
            tokens_NP[row, : len(request.prompt)] = request.prompt
            lengths_N[row], limits_N[row] = len(request.prompt), request.sample.max_tokens
            slots_N[row] = free.pop()
            self._active[int(slots_N[row])] = request
        sampling = _sampling([request.sample for request in group], count)
        new, tokens_N = self._run.prefill(self._params, tokens_NP, lengths_N, limits_N, sampling)
        self._state = self._run.insert(self._state, new, slots_N)
        for slot, request, token in zip(slots_N.tolist(), group, np.asarray(tokens_N).tolist()):
            self._extend(slot, request, [token])

    def _fit(self, length: int) -> None:
        """Grow the cache to a length. An empty cache may also shrink."""
        wanted = self._bucket(length)
        if not self._active and wanted != self._length:
            self._state = self._empty(self.slots, wanted)
            self._length = wanted
        while self._length < wanted:
            self._length = self._bucket(self._length + 1)
            self._state = self._run.grow(self._state, self._length)

    def _bucket(self, length: int) -> int:
        return min(max(SHORTEST, 1 << (length - 1).bit_length()), self.context)

    def _buckets(self) -> list[int]:
        found = [self._bucket(1)]
        while found[-1] < self.context:
            found.append(self._bucket(found[-1] + 1))
        return found

    def score(self, ids: Sequence[int]) -> Scores:
        """Return log-probabilities of a text of two or more ids, computed with the stored weights."""
        padded, last = self._bucket(len(ids)), len(ids) - 1
        tokens_NP = np.zeros((self._counts[0], padded), np.int32)
        tokens_NP[:, : len(ids)] = ids
        found = self._run.score(self._params, tokens_NP, np.full(len(tokens_NP), len(ids), np.int32))
        return Scores(*(np.asarray(each[0, :last]) for each in found))

    def warm_up(self, seconds: float | None = None) -> WarmUp:
        """Compile programs ahead, shortest texts first, for at most `seconds` (default: all programs).

        The engine must not have requests.
        """
        require(not self.busy, "Engine.warm_up", "requests", "none, while it runs")
        calls, begun, compiled = list(self._programs()), time.monotonic(), 0
        for call in calls:
            if seconds is not None and time.monotonic() - begun >= seconds:
                break
            call()
            compiled += 1
        return WarmUp(compiled, len(calls), time.monotonic() - begun)

    def _programs(self) -> Iterator[Callable[[], None]]:
        """Yield a call of every program that a request may need, in ascending order of the bucket.

        Programs for a single request come first.
        """
        buckets = self._buckets()
        for length, following in zip(buckets, [*buckets[1:], 0]):
            for count in self._counts:
                yield partial(self._call_prefill, count, length)
                for padded in reversed(buckets[: buckets.index(length) + 1]):
                    yield partial(self._call_insert, count, padded, length)
                    if count == self._counts[0] and padded == length:
                        yield partial(self._call_decode, length)
            if following:
                yield partial(self._call_grow, length, following)

    def _call_prefill(self, count: int, padded: int) -> None:
        tokens_NP, ones_N = np.zeros((count, padded), np.int32), np.ones(count, np.int32)
        self._run.prefill(self._params, tokens_NP, ones_N, ones_N, _sampling([], count))

    def _call_insert(self, count: int, padded: int, length: int) -> None:
        nowhere_N = np.full(count, self.slots, np.int32)
        self._run.insert(self._empty(self.slots, length), self._empty(count, padded), nowhere_N)

    def _call_decode(self, length: int) -> None:
        self._run.decode(self._params, self._empty(self.slots, length), np.zeros(self.slots, bool))

    def _call_grow(self, length: int, following: int) -> None:
        self._run.grow(self._empty(self.slots, length), following)


def _sampling(samples: list[SampleConfig], count: int) -> Sampling:
    """Return the settings as arrays [count]; padding rows are greedy."""
    samples = [*samples, *[SampleConfig(temperature=0)] * (count - len(samples))]
    return Sampling(
        np.array([sample.temperature for sample in samples], np.float32),
        np.array([sample.top_k for sample in samples], np.int32),
        np.array([sample.top_p for sample in samples], np.float32),
        np.array([sample.repetition_penalty for sample in samples], np.float32),
        np.array([sample.seed % 2**32 for sample in samples], np.uint32),
    )
