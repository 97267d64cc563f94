"""Between the phases: the evaluation sets that training must not see."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.files import write_json
from baichuan_jax.data.engine.output import task_directory
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.select.contamination import EvaluationSets

NAME, RUNS, COUNTS = "sets", "runs.npz", "counts.json"


@dataclass(frozen=True)
class ReadSets:
    """One task. Saves the runs of tokens of all evaluation sets, and how many there are of each."""

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        cfg = self.cfg.select
        with task_directory(self.work.phase(NAME), number) as directory:
            sets, counts = EvaluationSets.read(cfg.evaluation_sets.values(), cfg.ngram)
            sets.save(directory / RUNS)
            write_json(directory / COUNTS, dict(zip(cfg.evaluation_sets, counts)))
