"""Between a parsed request and the engine: tokenization, limits, and the pieces that come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from baichuan_jax.chat.encode import ChatTemplate
from baichuan_jax.core.errors import UserError
from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.engine import Engine, Scores
from baichuan_jax.generate.generate import Piece
from baichuan_jax.generate.serve.config import ServeConfig
from baichuan_jax.generate.serve.logprobs import Spelling
from baichuan_jax.generate.serve.protocol import Conversation, ProtocolError, Query
from baichuan_jax.generate.serve.worker import Job, Prompt, Worker
from baichuan_jax.tokenizer.interface import AnyTokenizer


class Service:
    """A served model. open: continuations running or waiting. stopping: whether new requests are refused."""

    def __init__(
        self,
        cfg: ServeConfig,
        name: str,
        default: SampleConfig,
        engine: Engine,
        tokenizer: AnyTokenizer,
        chat: ChatTemplate | UserError,
    ):
        """name: of the model. default: settings for fields that a request leaves out. chat: or why there is none."""
        self.cfg, self.name, self.default = cfg, name, default
        self.worker = Worker(engine, tokenizer)
        self.open, self.stopping = 0, False
        self.spelling = Spelling(tokenizer)
        self._engine, self._tokenizer, self._chat = engine, tokenizer, chat
        self._encoder = ThreadPoolExecutor(1, "encoder")  # a tokenizer serves one thread at a time

    @contextmanager
    def admitted(self, prompts: int, n: int) -> Iterator[None]:
        """Count n continuations of each prompt as open while the block runs.

        Raise ProtocolError if that exceeds the limit.
        """
        count, most = prompts * n, self.cfg.max_open
        if self.stopping:
            raise self._cut()
        if count > most:
            message = f"{count} continuations in one request: the limit is {most}"
            raise ProtocolError(400, message, "prompt" if prompts > most else "n")
        if self.open + count > most:
            message = f"{self.open} of {most} continuations are open; try again later"
            raise ProtocolError(503, message, code="overloaded")
        self.open += count
        try:
            yield
        finally:
            self.open -= count

    @contextmanager
    def running(self, prompts: list[Prompt]) -> Iterator[tuple[Job, AsyncIterator[Piece]]]:
        """Yield (job that continues the prompts, its pieces); the job is cancelled when the block ends."""
        loop, queue = asyncio.get_running_loop(), asyncio.Queue()
        job = Job(prompts, lambda piece: loop.call_soon_threadsafe(queue.put_nowait, piece))
        self.worker.submit(job)
        try:
            yield job, self._pieces(len(prompts), queue)
        finally:
            self.worker.cancel(job)

    async def _pieces(self, count: int, queue: asyncio.Queue[Piece | None]) -> AsyncIterator[Piece]:
        while count:
            piece = await queue.get()
            if piece is None:
                raise self._cut()
            count -= bool(piece.done)
            yield piece
            await asyncio.sleep(0)  # let other tasks run, however many pieces wait: one of them notices a disconnect

    async def score(self, ids: list[int]) -> Scores | None:
        """Return the scores of a text; None for a single id, which has no context."""
        if len(ids) < 2:
            return None
        loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        tell = lambda scores: done.done() or done.set_result(scores)
        self.worker.score(ids, lambda scores: loop.call_soon_threadsafe(tell, scores))
        if (scores := await done) is None:
            raise self._cut()
        return scores

    def _cut(self) -> ProtocolError:
        if self.worker.failure:
            return ProtocolError(500, "internal server error; see the server's log", code="failed")
        return ProtocolError(503, "the server is stopping; try again later", code="stopping")

    async def prompts(self, query: Query) -> list[Prompt]:
        """Return each continuation. Raise ProtocolError if a text is too long for the model, or out of order."""
        loop, found = asyncio.get_running_loop(), []
        for text in query.prompts:
            stops: tuple[int, ...] = ()
            if isinstance(text, Conversation):
                ids, stops = await loop.run_in_executor(self._encoder, self._conversation, text)
            elif isinstance(text, str):  # encoded without special ids
                ids = await loop.run_in_executor(self._encoder, self._tokenizer.prompt, text)
            else:
                ids = list(text)
            sample = self._fitting(query, ids, "messages" if isinstance(text, Conversation) else "prompt")
            first = sample.seed + len(found)
            found += [Prompt(ids, replace(sample, seed=first + number), stops) for number in range(query.n)]
        return found

    def _conversation(self, conversation: Conversation) -> tuple[list[int], tuple[int, ...]]:
        """Return the ids of a conversation, and those that end an answer."""
        if isinstance(self._chat, UserError):
            raise ProtocolError(400, str(self._chat), code="no_chat_template")
        if (count := len(conversation.messages)) > self._engine.context:
            message = f"{count} messages do not fit the model's context of {self._engine.context} tokens"
            raise ProtocolError(400, message, "messages", "context_length_exceeded")
        try:
            return self._chat.prompt(conversation.messages), self._chat.end_ids
        except UserError as error:
            raise ProtocolError(400, str(error), "messages") from None

    def _fitting(self, query: Query, ids: list[int], field: str) -> SampleConfig:
        """Return the settings for one prompt. Raise ProtocolError if it does not fit the model. field: it came from."""
        room = self._engine.context - len(ids)
        if outside := [id for id in ids if not 0 <= id < self._engine.vocab]:
            message = f"prompt: token id {outside[0]} does not exist; ids are 0 to {self._engine.vocab - 1}"
            raise ProtocolError(400, message, "prompt")
        if not query.written and ids and room >= 0:
            return query.sample
        sample = query.sample
        if query.longest:
            sample = replace(sample, max_tokens=max(1, min(sample.max_tokens, room)))
        try:
            self._engine.check(ids, sample)
        except UserError as error:
            message, param = str(error).removeprefix("SampleConfig."), "max_tokens" if room > 0 else field
            raise ProtocolError(400, message, param, "context_length_exceeded") from None
        return sample
