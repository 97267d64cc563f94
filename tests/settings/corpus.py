"""Observers of the data step, of the tokenizer, and of the places where they run and what is compiled is kept."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import sentencepiece

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.dedup import near_duplicates
from baichuan_jax.jobs.runner import Runner
from baichuan_jax.parallel.program_cache import ProgramCache, cache_root
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.run_config import RunConfig
from tests.settings.base import stage, timeless, written


def places(config: RunConfig, scratch: Path) -> list[str]:
    """Return which directories a run makes."""
    before = set(os.listdir())
    with Run(config).pipeline.open(()):
        return sorted(set(os.listdir()) - before)


def kept_programs(config: RunConfig, scratch: Path) -> tuple:
    """Return where compiled programs go, and which of two are kept."""
    cache = ProgramCache(scratch, scratch, config.compilation_cache.max_bytes)
    for name in ("first", "second"):
        cache.put(name, bytes(1000))
    return cache_root(config.compilation_cache), sorted(path.name for path in scratch.iterdir())


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
        nodes=lambda: [{"Alive": True, "Resources": {"CPU": 2, "memory": 2**36}}],
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
