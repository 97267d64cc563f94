"""The data step: raw text to the dataset that training reads, phase by phase.

    read -> unite -> sets -> sign -> documents -> sentences -> repeats -> decide -> write

read, sign, sentences and write have one task per shard; a shard is what one task reads, whatever the number of
workers. A task writes a directory of its own, which appears when it is whole, so a step that was interrupted goes on
where it was, and nothing depends on which task ran where, or when.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from baichuan_jax.core.errors import require
from baichuan_jax.data.flow import decide, documents, read, repeats, sentences, sets, sign, unite, write
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.finish import finish
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.vanished import refuse_after_reading
from baichuan_jax.data.sources.source import source_units
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.runner import Runner

WORK, DONE = "work", "work.done"  # gone when the step ends
Progress = Callable[[str, int, int], None]


def build(cfg: CorpusConfig, runner: RunnerConfig, directory: Path, progress: Progress | None = None) -> dict:
    """Clean every domain into a dataset in `directory` (see `dataset.py`), with funnel.json and a data card beside it.

    progress: called as progress(phase, tasks done, tasks). Call it again with the same config after an interruption;
    the runner may be another one. Raise UserError on sources that cannot be read and if too little of a domain is
    left.
    Return {"domains": {domain: {"documents", "bytes", "train", "validation", "language", "scores"}}, "funnel":
    {domain: ...}, "quality", "evaluation_sets", "megabytes_per_second"}, the last of raw text.
    """
    require(bool(cfg.data.sources), "DataConfig.sources", cfg.data.sources, "a domain, like {'web': 'web/*.jsonl'}")
    start = time.monotonic()
    units = tuple(source_units(cfg.data))
    shutil.rmtree(directory / DONE, ignore_errors=True)
    work = Work(directory / WORK, tuple(unit.domain for unit in units))
    phases = (
        (read.NAME, read.Read(cfg, work, units), work.shards),
        (unite.NAME, unite.Unite(cfg, work), 1),
        (sets.NAME, sets.ReadSets(cfg, work), 1),
        (sign.NAME, sign.Sign(cfg, work), work.shards),
        (documents.NAME, documents.Documents(cfg, work), 1),
        (sentences.NAME, sentences.Sentences(cfg, work), work.shards),
        (repeats.NAME, repeats.Repeats(cfg, work), 1),
        (decide.NAME, decide.Decide(cfg, work), 1),
        (write.NAME, write.Write(cfg, work), work.shards),
    )
    with Runner(runner, work.root / "engine") as tasks:
        for name, task, count in phases:
            tasks.run(name, task, count, None if progress is None else _named(progress, name))
            if name == read.NAME and runner.vanished == "stop":
                refuse_after_reading(cfg.data, work)
    result = finish(cfg, work, directory, runner.vanished)
    os.replace(work.root, directory / DONE)  # at once: half of it would look like phases that have ended
    shutil.rmtree(directory / DONE)
    size = sum(funnel["read"]["bytes"] for funnel in result["funnel"].values())
    return {**result, "megabytes_per_second": size / (time.monotonic() - start) / 1e6}


def _named(progress: Progress, name: str) -> Callable[[int, int], None]:
    return lambda done, of: progress(name, done, of)
