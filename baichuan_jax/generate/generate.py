"""Text generation, streamed or complete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.engine import Engine, Request
from baichuan_jax.generate.text import TextStream
from baichuan_jax.tokenizer.interface import AnyTokenizer


class Piece(NamedTuple):
    """The next piece of the continuation of prompt `number`. done: "stop" or "length" in the last piece, else ""."""

    number: int
    text: str
    done: str


class Continuation:
    """A request of an engine with its text stream."""

    def __init__(self, engine: Engine, tokenizer: AnyTokenizer, request: Request):
        self._engine, self._request = engine, request
        self._text, self._shown = TextStream(tokenizer, request.sample.stop), 0

    def advance(self, number: int) -> Piece:
        """Return the new text since the last call. A stop string ends the request and truncates its ids."""
        request, new = self._request, self._request.ids[self._shown :]
        self._shown = len(request.ids)
        text = self._text.push(new, last=bool(request.done))
        if self._text.stopped:
            self._engine.cancel(request)
            del request.ids[self._text.taken :]
            request.ending = []
            return Piece(number, text, "stop")
        return Piece(number, text, "stop" if request.done == "end" else request.done)


def stream(
    engine: Engine, tokenizer: AnyTokenizer, prompts: Sequence[str], sample: SampleConfig, specials: bool = False
) -> Iterator[Piece]:
    """Yield pieces of the continuations of all prompts as they are generated.

    specials: whether the written form of a special token in a prompt, such as "<reserved_106>", encodes to its id.
    Raise UserError as `stream_ids` does.
    """
    return stream_ids(engine, tokenizer, (tokenizer.prompt(prompt, specials) for prompt in prompts), sample)


def stream_ids(
    engine: Engine,
    tokenizer: AnyTokenizer,
    prompts: Iterable[Sequence[int]],
    sample: SampleConfig,
    stops: tuple[int, ...] = (),
) -> Iterator[Piece]:
    """Yield pieces of the continuations of prompts as they are generated. Closing the iterator frees the engine.

    stops: ids that end a continuation, beside those of the engine. Raise UserError before the first piece if a prompt
    and its continuation exceed the model's context.
    """
    requests: list[Request] = []
    try:
        for number, ids in enumerate(prompts):
            requests.append(engine.submit(ids, replace(sample, seed=sample.seed + number), stops))
        yield from pieces(engine, tokenizer, requests)
    finally:
        for request in requests:
            engine.cancel(request)


def pieces(engine: Engine, tokenizer: AnyTokenizer, requests: Sequence[Request]) -> Iterator[Piece]:
    """Run the engine until all requests are done; yield their pieces, numbered by request."""
    open_requests = {request: (n, Continuation(engine, tokenizer, request)) for n, request in enumerate(requests)}
    while open_requests:
        for request in engine.step():
            if request in open_requests:
                number, continuation = open_requests[request]
                piece = continuation.advance(number)
                if piece.done:
                    del open_requests[request]
                if piece.text or piece.done:
                    yield piece


def generate(
    engine: Engine, tokenizer: AnyTokenizer, prompts: Sequence[str], sample: SampleConfig, specials: bool = False
) -> list[str]:
    """Return the continuation of each prompt, up to `</s>`, a stop string or max_tokens, without the prompt.

    specials: as in `stream`.
    """
    texts = [""] * len(prompts)
    for piece in stream(engine, tokenizer, prompts, sample, specials):
        texts[piece.number] += piece.text
    return texts
