"""A server in a process of its own, over random weights, and the simplest of clients."""

import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from baichuan_jax.model.decoder import param_axes
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.train.config import OptimConfig
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.saving import CheckpointWriter
from baichuan_jax.train.state import ShardedState
from tests.cli.small import command, environment
from tests.generate.naive import MODEL as SMALL

NAME = "a small model"
MODEL = replace(SMALL, context=256)  # for streams that are under way for a while

CONFIG = """
RunConfig.workdir = '{directory}/random'
TokenizerConfig.file = '{tokenizer}'
TokenizerConfig.vocab = 304
TrainConfig.steps = 0
TrainConfig.start = '{directory}/weights'
{model}
EngineConfig.slots = 4
EngineConfig.burst = 3
SampleConfig.max_tokens = 8
SampleConfig.temperature = 0.0
ServeConfig.port = 0
ServeConfig.name = '{name}'
ServeConfig.warm_up = 0.0
ServeConfig.max_body = 1000000
ServeConfig.max_open = 250
ServeConfig.grace = 0.5
"""


def write_config(directory: Path, tokenizer: Path, params, layout: Layout) -> Path:
    """Write a config and what it names: a model that was never trained."""
    state = ShardedState(MODEL, make_optimizer(OptimConfig(), 1000, param_axes(MODEL)), layout).init(0)
    with CheckpointWriter(directory / "weights", 1) as checkpoints:
        checkpoints.save(state._replace(params=params), {})
    sizes = ("vocab", "layers", "hidden", "heads", "head_dim", "inner", "context")
    model = "\n".join(f"DecoderConfig.{name} = {getattr(MODEL, name)}" for name in sizes)
    text = CONFIG.format(directory=directory, tokenizer=tokenizer, model=model, name=NAME)
    (directory / "serve.gin").write_text(text, encoding="utf-8")
    return directory / "serve.gin"


class Server:
    """A running server, and a client of it."""

    def __init__(self, process: subprocess.Popen, port: int):
        self.process, self.port = process, port

    def open(self, path: str, body: bytes | dict | None = None) -> http.client.HTTPResponse:
        """Send a request, and return the answer as soon as it begins."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request("GET" if data is None else "POST", path, data)
        return connection.getresponse()

    def ask(self, path: str, body: bytes | dict | None = None) -> tuple[int, dict]:
        """Return (status, body)."""
        with self.open(path, body) as response:
            return response.status, json.loads(response.read())

    def complete(self, **body) -> dict:
        """Return a whole completion."""
        status, answer = self.ask("/v1/completions", body)
        assert status == 200, answer
        return answer

    def stream(self, **body) -> list[dict | str]:
        """Return the events of a stream."""
        with self.open("/v1/completions", {**body, "stream": True}) as response:
            assert response.status == 200, response.read()
            assert response.getheader("content-type").startswith("text/event-stream")
            return events(response.read())


def events(data: bytes) -> list[dict | str]:
    """Return the events of a stream's bytes, [DONE] as text; each is a whole one, and UTF-8 by itself."""
    parts = data.split(b"\n\n")
    assert parts.pop() == b""
    lines = [part.decode().removeprefix("data: ") for part in parts]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@contextmanager
def serving(config: Path, *arguments: str) -> Iterator[Server]:
    """Run a server while the block runs."""
    process = subprocess.Popen(
        command("serve", config, *arguments), stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        for line in process.stderr:
            if found := re.match(r"serving .+ at http://127\.0\.0\.1:(\d+)/v1; Ctrl-C stops", line):
                yield Server(process, int(found[1]))
                return
        raise AssertionError(f"exit {process.wait()}")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
