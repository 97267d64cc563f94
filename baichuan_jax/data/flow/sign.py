"""Third phase: what is to be known of each document: its score, its signature, and whether a test set is in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.dedup.minhash import PERMUTATIONS, signatures_of
from baichuan_jax.data.dedup.shingles import tokenized
from baichuan_jax.data.engine.output import task_directory
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.sets import NAME as SETS
from baichuan_jax.data.flow.sets import RUNS
from baichuan_jax.data.flow.unite import FIRST, MODEL
from baichuan_jax.data.flow.unite import NAME as UNITE
from baichuan_jax.data.quality.model import QualityModel
from baichuan_jax.data.select.contamination import EvaluationSets

NAME, SCORE, LEAK, SIGNATURES = "sign", "score", "leak", "signatures"
BATCH_CHARACTERS, BATCH = 1 << 19, 512  # of documents that are looked at together


@dataclass(frozen=True)
class Sign:
    """Task NUMBER saves, for the documents of a shard that stand for all that equal them, in order:

    `score` float32, `leak` int16 (number of the evaluation set that shares a run of tokens with it, or -1) and
    `signatures` uint32 [documents, PERMUTATIONS].
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shard = self.work.shard(number)
        rows = first_rows(self.work, number)
        model = QualityModel.load(self.work.task(UNITE) / MODEL)
        sets = EvaluationSets.load(self.work.task(SETS) / RUNS)
        scores, leaks = np.empty(len(rows), np.float32), np.empty(len(rows), np.int16)
        with task_directory(self.work.phase(NAME), number) as directory:
            signed = np.lib.format.open_memmap(
                directory / f"{SIGNATURES}.npy", "w+", np.uint32, (len(rows), PERMUTATIONS)
            )
            start = 0
            for part, texts in shard.batches(rows, BATCH_CHARACTERS, BATCH):
                here = slice(start, start + len(part))
                tokens = list(tokenized(texts))
                scores[here] = model.score_tokens(tokens, shard.languages(part))
                leaks[here] = sets.find(texts)
                if self.cfg.dedup.documents:
                    signed[here] = signatures_of(tokens, len(texts))
                start += len(part)
            np.save(directory / f"{SCORE}.npy", scores)
            np.save(directory / f"{LEAK}.npy", leaks)


def first_rows(work: Work, number: int) -> np.ndarray:
    """Returns the rows of a shard that stand for all that equal them, int64."""
    return np.flatnonzero(work.load(UNITE, FIRST)[work.part(number)])
