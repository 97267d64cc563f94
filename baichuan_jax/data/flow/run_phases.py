"""The data step: raw text to the dataset that training reads, phase by phase.

    read -> exact_dedup -> evaluation_sets -> minhash -> near_dedup -> sentence_minhash -> sentence_dedup -> assign
    -> write

A shard is what one task of `read` reads. The phases in `phase_arrays.PER_SHARD` have one task for each shard, the
others a single one. Neither depends on the number of workers. The directory of a task appears when it is complete; so
an interrupted step goes on where it was, and nothing depends on which task ran where, or when. `phase_arrays.py` is the
table of what the phases exchange.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from baichuan_jax.core.errors import require
from baichuan_jax.data.flow import phase_arrays
from baichuan_jax.data.flow.assign import Assign
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.evaluation_sets import IndexEvaluationSets
from baichuan_jax.data.flow.exact_dedup import ExactDedup
from baichuan_jax.data.flow.finish import finish
from baichuan_jax.data.flow.funnels import funnels_after_reading
from baichuan_jax.data.flow.minhash import Minhash
from baichuan_jax.data.flow.near_dedup import NearDedup
from baichuan_jax.data.flow.read import Read
from baichuan_jax.data.flow.sentence_dedup import SentenceDedup
from baichuan_jax.data.flow.sentence_minhash import SentenceMinhash
from baichuan_jax.data.flow.vanished import refuse
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.flow.write import Write
from baichuan_jax.data.sources.units import source_units
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.runner import Runner

WORK, DONE = "work", "work.done"  # deleted when the step ends
TASKS = "tasks"  # in WORK: logs and marks of completed tasks
Progress = Callable[[str, int, int], None]


def build_corpus(cfg: CorpusConfig, runner: RunnerConfig, directory: Path, progress: Progress | None = None) -> dict:
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
    phases = {
        phase_arrays.READ: Read(cfg, work, units),
        phase_arrays.EXACT_DEDUP: ExactDedup(cfg, work),
        phase_arrays.EVALUATION_SETS: IndexEvaluationSets(cfg, work),
        phase_arrays.MINHASH: Minhash(cfg, work),
        phase_arrays.NEAR_DEDUP: NearDedup(cfg, work),
        phase_arrays.SENTENCE_MINHASH: SentenceMinhash(cfg, work),
        phase_arrays.SENTENCE_DEDUP: SentenceDedup(cfg, work),
        phase_arrays.ASSIGN: Assign(cfg, work),
        phase_arrays.WRITE: Write(cfg, work),
    }
    with Runner(runner, work.root / TASKS) as tasks:
        for name, task in phases.items():
            count = work.shards if name in phase_arrays.PER_SHARD else 1
            tasks.run(name, task, count, progress and partial(progress, name))
            if name == phase_arrays.READ and runner.vanished == "stop":
                refuse(cfg.data, funnels_after_reading(work, cfg.data.sources))  # before phases that take hours
    result = finish(cfg, work, directory, runner.vanished)
    os.replace(work.root, directory / DONE)  # in one step: half of it would look like phases that have ended
    shutil.rmtree(directory / DONE)
    size = sum(funnel["read"]["bytes"] for funnel in result["funnel"].values())
    return {**result, "megabytes_per_second": size / (time.monotonic() - start) / 1e6}
