"""What a setting can be seen in: lowered programs, files, printed answers, errors.

An observer takes a config and an empty directory and returns what it saw, which must be the same for equal configs. The
current directory is the one that `prepare` has filled.
"""

import asyncio
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import jax
import numpy as np
import optax
import pytest
import sentencepiece
import uvicorn

from baichuan_jax.cli.serve import serve
from baichuan_jax.config.load import Loaded, load
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import digest
from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.data.dedup import near_duplicates
from baichuan_jax.evaluate.bits import BitsPerByte
from baichuan_jax.generate.engine import Engine
from baichuan_jax.generate.serve.worker import Worker
from baichuan_jax.jobs.runner import Runner
from baichuan_jax.model.execution import Batch
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import STAGES, config_class
from baichuan_jax.train import loop, throughput
from baichuan_jax.train.state import TrainState, abstract_params
from tests.settings.texts import write_texts

TIMES = ("seconds", "_per_second", "mfu", "hfu", "bytes", "peak")  # in the names of numbers that differ in every run
SMALL = {
    "RunConfig.workdir": "run",
    "DataConfig.sources": {"zh": "zh.jsonl", "en": "en-*.jsonl"},
    "SelectConfig.validation_fraction": 0.2,
    "TokenizerConfig.vocab": 450,
    "TokenizerConfig.character_coverage": 0.98,
    "DecoderConfig.vocab": 480,
    "DecoderConfig.layers": 1,
    "DecoderConfig.hidden": 32,
    "DecoderConfig.heads": 4,
    "DecoderConfig.head_dim": 8,
    "DecoderConfig.inner": 64,
    "DecoderConfig.context": 64,
    "DecoderConfig.remat": "none",
    "TrainConfig.steps": 3,
    "TrainConfig.batch": 8,
    "TrainConfig.length": 16,
    "TrainConfig.eval_windows": 2,
    "OptimConfig.warmup_steps": 1,
    "EvaluateConfig.length": 16,
    "EvaluateConfig.windows": 20,
    "SampleConfig.prompts": ("the people", "of"),
    "SampleConfig.max_tokens": 6,
    "EngineConfig.slots": 2,
    "EngineConfig.burst": 2,
}
# A model that is there already.
TRAINED = {
    "TrainConfig.steps": 0,
    "TrainConfig.start": "weights/checkpoints",
    "TokenizerConfig.file": "run/tokenizer/tokenizer.model",
}


def config_of(overrides: dict, root: type | None = None) -> RunConfig:
    changes = [f"{name}={value!r}" for name, value in (SMALL | overrides).items()]
    return load(None, changes, root or config_class()).config


def stage(name: str, config: RunConfig, directory: Path) -> dict:
    """Build a stage into a directory, from those before it in the workdir."""
    directory.mkdir(parents=True, exist_ok=True)
    return STAGES[name].build(Run(config), directory).as_record()


def prepare() -> None:
    """Fill the current directory: texts, the first stages in `run`, and a trained model in `weights`."""
    write_texts(Path.cwd())
    for name in ("data", "tokenizer", "tokens"):
        stage(name, config_of({}), Path("run", name))
    training(config_of({"TrainConfig.seed": 7}), Path("weights"))


def on_one_device(observer: Callable) -> Callable:
    """Return the observer for a machine of one device, which compiles faster than the eight that tests have."""

    @wraps(observer)
    def observe(config: RunConfig, scratch: Path) -> object:
        device = jax.devices()[:1]
        with patch.object(jax, "devices", lambda *_: device):
            return observer(config, scratch)

    return observe


def written(directory: Path, without: str = "") -> dict[str, str]:
    """Return the digests of the files of a directory."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != without)
    return {str(path.relative_to(directory)): digest(repr(path.read_bytes())) for path in files}


def timeless(found: object) -> object:
    """Return a result without what depends on the clock."""
    if isinstance(found, dict):
        return {key: timeless(value) for key, value in found.items() if not any(time in key for time in TIMES)}
    return [timeless(item) for item in found] if isinstance(found, list | tuple) else found


def places(config: RunConfig, scratch: Path) -> list[str]:
    """Return which directories a run makes."""
    before = set(os.listdir())
    with Run(config).pipeline.open():
        return sorted(set(os.listdir()) - before)


def corpus(config: RunConfig, scratch: Path) -> tuple:
    """Return what the data step writes and returns, and the memory that its searches are given."""
    memory, search = set(), near_duplicates.bucket_files

    def searched(signed, texts, bands, most, *others):
        memory.add(most)
        return search(signed, texts, bands, most, *others)

    with patch.object(near_duplicates, "bucket_files", searched):
        result = stage("data", config, scratch)
    return written(scratch), timeless(result), memory


def engine(config: RunConfig, scratch: Path) -> tuple:
    """Return the logs of workers, the script for Slurm, and what Ray is asked for."""
    for name, code in {"sbatch": 1, "squeue": 0, "scancel": 0}.items():
        (scratch / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (scratch / name).chmod(0o755)
    asked = []
    ray = SimpleNamespace(
        init=lambda **options: asked.append(options),
        put=lambda value: value,
        remote=lambda **options: asked.append(options) or (lambda _: SimpleNamespace(remote=lambda *_: None)),
        wait=lambda _: (_ for _ in ()).throw(UserError("no cluster")),
        shutdown=lambda: None,
    )
    with patch.dict(os.environ, PATH=f"{scratch}:{os.environ['PATH']}"), patch.dict(sys.modules, ray=ray):
        try:
            with Runner(config.runner, scratch / "tasks") as tasks:
                tasks.run("phase", abs, 2)
        except UserError as error:
            asked.append(str(error).replace(str(scratch), ""))
    script = scratch / "tasks/phase/launch_script.slurm"
    text = script.read_text().replace(str(scratch), "") if script.exists() else ""
    return sorted(path.name for path in scratch.rglob("*.log")), text, repr(asked)


def tokenizer(config: RunConfig, scratch: Path) -> tuple:
    """Return what the tokenizer and token stages write and return, and with how many threads each works."""
    threads, train = [], sentencepiece.SentencePieceTrainer.train

    def trained(**options):
        threads.append(options["num_threads"])
        return train(**options)

    directory = scratch / "run"
    directory.mkdir()
    (directory / "data").symlink_to(Path("run/data").resolve())
    config = replace(config, workdir=str(directory))
    with patch.object(sentencepiece.SentencePieceTrainer, "train", trained):
        made = stage("tokenizer", config, directory / "tokenizer")
    tokens = stage("tokens", config, directory / "tokens")
    return written(directory / "tokenizer"), written(directory / "tokens"), timeless(made), timeless(tokens), threads


class Lowered(Exception):
    """Carries the text of a program that would have been compiled."""


def partitioned(config: RunConfig, scratch: Path) -> str:
    """Return the train step as training lowers it, for eight devices."""

    def lowered(program: jax.stages.Lowered, *_: object):
        raise Lowered(program.as_text())

    with patch.object(jax.stages.Lowered, "compile", lowered), pytest.raises(Lowered) as found:
        stage("train", config, scratch)
    return str(found.value)


program = on_one_device(partitioned)


def partitioned_scoring(config: RunConfig, scratch: Path) -> str:
    """Return the program that scores held-out text during training, for eight devices."""

    def lowered(*arguments: object) -> None:
        model_cfg, exe, validate = arguments[2], arguments[3], arguments[6]
        text = next(iter(validate._domains.values()))
        params = abstract_params(model_cfg, exe.layout)
        raise Lowered(validate._score.lower(params, text.tokens, text.counted).as_text())

    with patch.object(loop, "train", lowered), pytest.raises(Lowered) as found:
        stage("train", config, scratch)
    return str(found.value)


scoring = on_one_device(partitioned_scoring)


class Step:
    """Instead of the train step, whose program `program` shows: its loss tells of the tokens, and it learns nothing."""

    def __init__(self, _cfg: object, _model_cfg: object, optimizer: optax.GradientTransformation, *_: object):
        self.optimizer = optimizer

    def lower(self, *_: object) -> "Step":
        return self

    def compile(self) -> "Step":
        return self

    def __call__(self, state: TrainState, batch: Batch) -> tuple[TrainState, dict]:
        total = sum(float(np.abs(leaf).sum()) for leaf in jax.tree.leaves(state.params))
        seen = total + float(np.sin(np.asarray(batch.tokens)).sum())
        sums = np.ones(9, np.float32)
        return state._replace(step=state.step + 1), {
            "loss": seen,
            "grad_norm": total,
            "domain_nll": sums,
            "domain_count": sums,
        }


class Update(Step):
    """Instead of the train step: the update of the parameters alone."""

    def lower(self, state: TrainState, _: object) -> None:
        raise Lowered(jax.jit(self.optimizer.update).lower(state.params, state.optimizer, state.params).as_text())


@on_one_device
def update(config: RunConfig, scratch: Path) -> str:
    """Return how training updates the parameters."""
    with patch.object(loop, "make_step", Update), pytest.raises(Lowered) as found:
        stage("train", config, scratch)
    return str(found.value)


@on_one_device
def initial(config: RunConfig, scratch: Path) -> str:
    """Return how training makes its first parameters."""

    def lowered(state: loop.ShardedState, seed: int) -> None:
        raise Lowered(jax.jit(lambda: state._fresh(seed)).lower().as_text())

    with (
        patch.object(throughput, "measured_flops", lambda: 1e9),
        patch.object(loop, "make_step", Step),
        patch.object(loop.ShardedState, "init", lowered),
        pytest.raises(Lowered) as found,
    ):
        stage("train", config, scratch)
    return str(found.value)


@on_one_device
def training(config: RunConfig, scratch: Path) -> tuple:
    """Return what a run logs, the checkpoints it leaves, and which steps it traces."""
    events = []
    annotation = lambda name, step_num: events.append(step_num) or nullcontext()
    with (
        patch.object(throughput, "measured_flops", lambda: 1e9),
        patch.object(loop, "make_step", Step),
        patch.object(loop, "step_memory", lambda _: 0),
        patch.object(jax.profiler, "start_trace", lambda _: events.append("start")),
        patch.object(jax.profiler, "stop_trace", lambda: events.append("stop")),
        patch.object(jax.profiler, "StepTraceAnnotation", annotation),
    ):
        result = stage("train", config, scratch)
    checkpoints = sorted(path.name for path in (scratch / "checkpoints").glob("*") if path.is_dir())
    return timeless(read_metrics(scratch)), timeless(result), checkpoints, events


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
