"""The engine in its own thread: requests from other threads join its batch as earlier ones finish."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.engine import Engine, Request, Scores
from baichuan_jax.generate.generate import Continuation, Piece
from baichuan_jax.tokenizer.interface import AnyTokenizer


class Prompt(NamedTuple):
    """What is continued, and how. stops: ids that end it beside those of the engine."""

    ids: list[int]
    sample: SampleConfig
    stops: tuple[int, ...] = ()


class Job:
    """Prompts that are continued as one job.

    push: called from the worker's thread with each piece, and with None if the worker stops before the end. requests:
    those of the engine, once the worker has admitted the job.
    """

    def __init__(self, prompts: Sequence[Prompt], push: Callable[[Piece | None], None]):
        self.prompts, self.push = prompts, push
        self.requests: list[Request] = []

    @property
    def made(self) -> int:
        """Number of tokens generated so far, without the ids that end a text."""
        return sum(len(request.ids) for request in self.requests)


class Worker:
    """Run an engine until it is stopped. All methods may be called from any thread.

    failure: the exception that ended the thread, if one did.
    """

    def __init__(self, engine: Engine, tokenizer: AnyTokenizer):
        self.failure: BaseException | None = None
        self._engine, self._tokenizer = engine, tokenizer
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._made: dict[Request, tuple[Job, int, Continuation]] = {}
        self._deadline, self._ended = math.inf, False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; its prompts must have passed `Engine.check`."""
        self._calls.put(partial(self._admit, job))
        if self._ended:  # the thread may not have seen it
            job.push(None)

    def cancel(self, job: Job) -> None:
        """Cancel the rest of a job and free its slots."""
        self._calls.put(partial(self._drop, job))

    def score(self, ids: list[int], push: Callable[[Scores | None], None]) -> None:
        """Queue a text of two or more ids for scoring. push: called with the scores, or None once stopped."""
        self._calls.put(lambda: push(None if self._ended else self._engine.score(ids)))
        if self._ended:  # the thread may not have seen it
            push(None)

    def stop(self, grace: float) -> None:
        """Stop when all jobs are done or `grace` seconds have passed; unfinished jobs then get None."""
        self._calls.put(partial(self._stop_at, time.monotonic() + grace))

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the thread still processes jobs."""
        return not self._ended

    def _run(self) -> None:
        try:
            while self._obey():
                for request in self._engine.step():
                    self._tell(request)
        except BaseException as error:
            self.failure = error
        self._ended = True
        while not self._calls.empty():
            self._calls.get()()
        for job in {job for job, _, _ in self._made.values()}:
            job.push(None)

    def _obey(self) -> bool:
        """Run the queued calls, waiting for one if the engine is idle; return whether to continue."""
        while not self._calls.empty() or not (self._engine.busy or self._over()):
            self._calls.get()()
        return not self._over()

    def _over(self) -> bool:
        return self._deadline < math.inf and (not self._engine.busy or time.monotonic() > self._deadline)

    def _admit(self, job: Job) -> None:
        for number, prompt in enumerate(job.prompts):
            request = self._engine.submit(*prompt)
            job.requests.append(request)
            self._made[request] = job, number, Continuation(self._engine, self._tokenizer, request)

    def _tell(self, request: Request) -> None:
        if request not in self._made:
            return
        job, number, continuation = self._made[request]
        piece = continuation.advance(number)
        if piece.done:
            del self._made[request]
        if piece.text or piece.done:
            job.push(piece)

    def _drop(self, job: Job) -> None:
        for request in job.requests:
            self._engine.cancel(request)
            self._made.pop(request, None)

    def _stop_at(self, deadline: float) -> None:
        self._deadline = min(self._deadline, deadline)
