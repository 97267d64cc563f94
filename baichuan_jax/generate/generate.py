"""Continuing texts: as a stream of pieces, or whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.engine import Engine, Request
from baichuan_jax.generate.text import TextStream
from baichuan_jax.tokenizer.interface import AnyTokenizer


class Piece(NamedTuple):
    """What came next of the continuation of prompt `number`. done: "stop" or "length" in its last piece, else ""."""

    number: int
    text: str
    done: str


def stream(engine: Engine, tokenizer: AnyTokenizer, prompts: Sequence[str], sample: SampleConfig) -> Iterator[Piece]:
    """Yields the continuations of all prompts as they are made; closing it early frees the engine.

    Raises UserError before the first piece if a prompt and its continuation would not fit the model's context.
    """
    made: dict[Request, tuple[int, TextStream, int]] = {}
    try:
        for number, prompt in enumerate(prompts):
            ids = [tokenizer.bos, *tokenizer.encode(prompt)]
            request = engine.submit(ids, replace(sample, seed=sample.seed + number))
            made[request] = number, TextStream(tokenizer, sample.stop), 0
        while made:
            for request in engine.step():
                if request not in made:
                    continue
                number, text, shown = made[request]
                made[request] = number, text, len(request.ids)
                new = text.push(request.ids[shown:], last=bool(request.done))
                done = "length" if request.done == "length" else "stop" if request.done else ""
                if text.stopped:
                    done = "stop"
                    engine.cancel(request)
                if new or done:
                    yield Piece(number, new, done)
                if done:
                    del made[request]
    finally:
        for request in made:
            engine.cancel(request)


def generate(engine: Engine, tokenizer: AnyTokenizer, prompts: Sequence[str], sample: SampleConfig) -> list[str]:
    """Returns the continuation of each prompt, up to `</s>`, a stop string or max_tokens, without the prompt."""
    texts = [""] * len(prompts)
    for piece in stream(engine, tokenizer, prompts, sample):
        texts[piece.number] += piece.text
    return texts
