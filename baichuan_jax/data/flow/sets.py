"""Between the phases: the evaluation sets that training must not see."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.files import write_json
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.rules.chinese import converter
from baichuan_jax.data.select.index import index_sets
from baichuan_jax.jobs.output import task_directory

NAME, COUNTS = "sets", "counts.json"


@dataclass(frozen=True)
class ReadSets:
    """One task. Saves the index of all evaluation sets, and counts.json: what was read of each."""

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        cfg, convert = self.cfg.select, converter(self.cfg.filters.chinese)
        with task_directory(self.work.phase(NAME), number) as directory:
            counts = index_sets(cfg.evaluation_sets.values(), cfg.ngram, directory, convert)
            write_json(directory / COUNTS, dict(zip(cfg.evaluation_sets, counts)))
