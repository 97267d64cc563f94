"""Phase `evaluation_sets`: the index of the evaluation sets that training must not see."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.files import write_json
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.phase_arrays import EVALUATION_SETS
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.rules.chinese import converter
from baichuan_jax.data.select.index import index_sets
from baichuan_jax.jobs.output import task_directory

SET_COUNTS = "counts.json"


@dataclass(frozen=True)
class IndexEvaluationSets:
    """One task. Saves the index of all evaluation sets, and in counts.json how many rows of each were read."""

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        cfg, convert = self.cfg.select, converter(self.cfg.filters.chinese)
        with task_directory(self.work.phase(EVALUATION_SETS), number) as directory:
            counts = index_sets(cfg.evaluation_sets.values(), cfg.ngram, directory, convert)
            write_json(directory / SET_COUNTS, dict(zip(cfg.evaluation_sets, counts)))
