"""Observers of a trained model: scores, continuations, and a server."""

import asyncio
import json
from argparse import Namespace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import uvicorn

from baichuan_jax.chat.load import load_chat_template
from baichuan_jax.chat.templates import TEMPLATES
from baichuan_jax.cli.serve import serve
from baichuan_jax.config.load import Loaded
from baichuan_jax.evaluate.bits import BitsPerByte
from baichuan_jax.generate.engine import Engine
from baichuan_jax.generate.serve.worker import Worker
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.run_config import RunConfig
from tests.chat.spelling import Bytes
from tests.settings.base import on_one_device, stage


@on_one_device
def evaluation(config: RunConfig, scratch: Path) -> tuple:
    """Return bits per byte, and the shapes of the batches that are scored."""
    shapes, place = set(), BitsPerByte._place

    def placed(self, rows):
        array = place(self, rows)
        shapes.add(array.shape)
        return array

    with patch.object(BitsPerByte, "_place", placed):
        return stage("evaluate", config, scratch), shapes


@on_one_device
def continuations(config: RunConfig, scratch: Path) -> dict:
    """Return what the model writes."""
    return stage("generate", config, scratch)


def asked(config: RunConfig, scratch: Path) -> str:
    """Return what the model is asked with in a chat."""
    tokenizer = Bytes(*(mark for name in ("qwen3", "gemma") for mark in TEMPLATES[name].marks))
    chat = load_chat_template(config.chat, tokenizer, scratch)
    return tokenizer.spell(chat.prompt([{"role": "user", "content": "a"}]))


@on_one_device
def decoding(config: RunConfig, scratch: Path) -> str:
    """Return the program that decodes a burst."""
    engine = Run(config).load_engine()
    live = np.ones(engine.slots, bool)
    return engine._run.decode.lower(engine._params, engine._empty(engine.slots, 32), live).as_text()


@on_one_device
def served(config: RunConfig, scratch: Path) -> dict:
    """Return how a server is set up, and its answers."""
    seen: dict = {"seconds": []}

    def run(server: uvicorn.Server, sockets: list) -> None:
        host, port = sockets[0].getsockname()
        seen["address"] = host, port if port < 32768 else "any"  # what the system takes is above
        seen["patience"] = server.config.timeout_graceful_shutdown
        body = lambda prompts: json.dumps({"prompt": ["a"] * prompts, "n": 1})
        asked = [("GET", "/v1/models"), *(("POST", "/v1/completions", body(prompts)) for prompts in (9, 900))]
        seen["answers"] = [asyncio.run(answer(server.config.app, *request)) for request in asked]
        with patch.object(uvicorn.Server, "shutdown", nothing):
            asyncio.run(server.shutdown(sockets))

    async def nothing(*_: object) -> None:
        pass

    with (
        patch.object(uvicorn.Server, "run", run),
        patch.object(Engine, "warm_up", lambda _, seconds: seen["seconds"].append(seconds)),
        patch("baichuan_jax.cli.serve._compiled", lambda _: ""),
        patch.object(Worker, "start", lambda _: None),
        patch.object(Worker, "join", lambda _: None),
        patch.object(Worker, "stop", lambda _, grace: seen["seconds"].append(grace)),
    ):
        serve(Loaded(config, {}), Namespace())
    return seen


async def answer(app, method: str, path: str, body: str = "") -> tuple[int, object]:
    """Return status and body of an answer of an ASGI application."""
    sent = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {"type": "http.request", "body": body.encode(), "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    await app(scope, receive, send)
    found = json.loads(b"".join(message.get("body", b"") for message in sent[1:]))
    if "data" in found:
        del found["data"][0]["created"]
    return sent[0]["status"], found
