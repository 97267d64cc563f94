"""The routes of the server: completions whole or as a stream, the model's name, and health."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from baichuan_jax.generate.generate import Piece
from baichuan_jax.generate.serve.chat import CHAT
from baichuan_jax.generate.serve.logprobs import logprobs
from baichuan_jax.generate.serve.protocol import TEXT, Form, ProtocolError, Query, completion, no_model, usage
from baichuan_jax.generate.serve.service import Service
from baichuan_jax.generate.serve.worker import Job, Prompt

# Line ends of Python's splitlines, and of clients that use it, which JSON does not escape.
LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
# An oversized body is read up to this many times max_body: most clients upload all of it before they read the answer.
DRAINED = 16
PAGE = Path(__file__).with_name("page.html")
# The page talks to this server alone, and shows what a model writes as text.
POLICY = {
    "content-security-policy": "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}


def make_app(service: Service) -> Starlette:
    """Return the ASGI application."""
    model = {"id": service.name, "object": "model", "created": int(time.time()), "owned_by": "baichuan_jax"}

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [model]})

    async def one_model(request: Request) -> Response:
        if (asked := request.path_params["name"]) != service.name:
            raise no_model(asked, service.name)
        return JSONResponse(model)

    async def health(_: Request) -> Response:
        ok = service.worker.alive and not service.stopping
        status = "ok" if ok else "stopping"
        return JSONResponse({"status": status, "open": service.open}, 200 if ok else 503)

    async def page(_: Request) -> Response:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers=POLICY)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/v1/completions", Completions(service, TEXT), methods=["POST"]),
            Route("/v1/chat/completions", Completions(service, CHAT), methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/models/{name:path}", one_model),
            Route("/health", health),
        ],
        exception_handlers={ProtocolError: _refused, HTTPException: _no_route, Exception: _broken},
    )


class Completions:
    """POST /v1/completions or /v1/chat/completions."""

    def __init__(self, service: Service, form: Form):
        self._service, self._form = service, form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Its slots are freed once the answer is sent or the client has disconnected."""
        service = self._service
        try:
            query = self._form.parse(
                await _body(Request(scope, receive), service.cfg.max_body),
                service.name,
                service.default,
                secrets.randbits(32),
            )
            with service.admitted(len(query.prompts), query.n):
                prompts = await service.prompts(query)
                with service.running(prompts if query.written else []) as (job, pieces):
                    if query.stream:
                        events = self._events(query, prompts, job, pieces)
                        answer = StreamingResponse(events, media_type="text/event-stream")
                    else:
                        answer = await _unless_gone(receive, self._whole(query, prompts, job, pieces))
                    await answer(scope, receive, send)
        except ClientDisconnect:
            return

    async def _whole(self, query: Query, prompts: list[Prompt], job: Job, pieces: AsyncIterator[Piece]) -> Response:
        texts = [self._echo(query, number) for number in range(len(prompts))]
        done = ["length"] * len(prompts)  # if nothing is generated
        async for piece in pieces:
            texts[piece.number] += piece.text
            done[piece.number] = piece.done
        choices = []
        for number, prompt in enumerate(prompts):
            told = None if query.logprobs is None else await self._logprobs(query, prompt.ids, job, number)
            choices.append(self._form.choice(number, texts[number], done[number], told))
        return JSONResponse(completion(self._head(), self._form.whole, choices, _usage(query, prompts, job)))

    def _echo(self, query: Query, number: int) -> str:
        """Return the echoed prompt of a continuation, "" without echo."""
        if not query.echo:
            return ""
        prompt = query.prompts[number // query.n]
        return prompt if isinstance(prompt, str) else self._service.spelling.text(prompt)

    async def _logprobs(self, query: Query, ids: list[int], job: Job, number: int) -> dict[str, Any]:
        """Return the log-probabilities of a continuation and its end, preceded by those of an echoed prompt."""
        made = [] if not query.written else [*job.requests[number].ids, *job.requests[number].ending]
        scores = await self._service.score([*ids, *made])
        spelling, prompt = self._service.spelling, self._echo(query, number)
        first, unseen = (0, len(spelling.text(ids)) - len(prompt)) if query.echo else (len(ids), 0)
        return logprobs(spelling, [*ids, *made], scores, query.logprobs, first, unseen)

    async def _events(
        self, query: Query, prompts: list[Prompt], job: Job, pieces: AsyncIterator[Piece]
    ) -> AsyncIterator[str]:
        form, head = self._form, self._head()
        event = lambda *piece: _event(completion(head, form.event, [form.piece(*piece)], None))
        try:
            if form.begins or query.echo or not query.written:
                for number in range(len(prompts)):
                    yield event(number, self._echo(query, number), "" if query.written else "length")
            async for piece in pieces:
                yield event(*piece)
            if query.usage:
                yield _event(completion(head, form.event, [], _usage(query, prompts, job)))
        except ProtocolError as error:  # the status has been sent
            yield _event(error.body())
        yield "data: [DONE]\n\n"

    def _head(self) -> dict[str, Any]:
        return {
            "id": f"{self._form.prefix}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": self._service.name,
        }


def _usage(query: Query, prompts: list[Prompt], job: Job) -> dict[str, int]:
    """Return the token counts; a prompt with several continuations is counted once."""
    return usage(sum(len(prompt.ids) for prompt in prompts[:: query.n]), job.made)


def _event(body: dict[str, Any]) -> str:
    """Return an event as one line, whatever characters its reader takes for line ends."""
    return f"data: {json.dumps(body, ensure_ascii=False).translate(LINE_ENDS)}\n\n"


async def _body(request: Request, most: int) -> bytes:
    """Return the body. Raise ProtocolError if it exceeds `most` bytes; the excess is not kept in memory."""
    body, size = bytearray(), 0
    async for part in request.stream():
        size += len(part)
        if size <= most:
            body += part
        if size > DRAINED * most:
            break
    if size > most:
        raise ProtocolError(413, f"the body is longer than {most} bytes", code="too_large")
    return bytes(body)


async def _unless_gone(receive: Receive, answer: Awaitable[Response]) -> Response:
    """Wait for an answer. Raise ClientDisconnect if the client disconnects first."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waiting = [asyncio.ensure_future(answer), asyncio.ensure_future(gone())]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not waiting[0].done():
            raise ClientDisconnect
        return waiting[0].result()
    finally:
        for task in waiting:
            task.cancel()


async def _refused(_: Request, error: ProtocolError) -> Response:
    headers = {"retry-after": "1"} if error.status == 503 else None
    return JSONResponse(error.body(), error.status, headers)


async def _no_route(request: Request, error: HTTPException) -> Response:
    message = (
        f"{request.method} {request.url.path}: {error.detail}; available: POST /v1/completions, "
        "/v1/chat/completions, GET /, /v1/models, /v1/models/NAME, /health"
    )
    return JSONResponse(ProtocolError(error.status_code, message).body(), error.status_code, error.headers)


async def _broken(_: Request, error: Exception) -> Response:
    return JSONResponse(ProtocolError(500, "internal server error; see the server's log").body(), 500)
