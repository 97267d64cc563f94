"""Third phase: what is to be known of each document: its score, its signature, and whether a test set is in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.dedup.minhash import PERMUTATIONS, signatures_of
from baichuan_jax.data.dedup.shingles import tokenized
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.sets import NAME as SETS
from baichuan_jax.data.flow.unite import FIRST, MODEL
from baichuan_jax.data.flow.unite import NAME as UNITE
from baichuan_jax.data.quality.model import QualityModel
from baichuan_jax.data.select.contamination import find
from baichuan_jax.data.select.cuts import CUT, cuts
from baichuan_jax.data.select.index import EvaluationIndex
from baichuan_jax.jobs.output import task_directory

NAME, SCORE, CUTS, SIGNATURES = "sign", "score", "cuts", "signatures"
BATCH_CHARACTERS, BATCH = 1 << 19, 512  # of documents that are looked at together


@dataclass(frozen=True)
class Sign:
    """Task NUMBER saves, for the documents of a shard that stand for all that equal them, in order:

    `score` float32 and `signatures` uint32 [documents, PERMUTATIONS]. And `cuts` CUT [cuts], what goes from them as it
    holds rows of evaluation sets, `document` being its number among those of all shards.
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shard, here = self.work.shard(number), self.work.part(number)
        rows = first_rows(self.work, number)
        model = QualityModel.load(self.work.task(UNITE) / MODEL)
        index = EvaluationIndex.load(self.work.task(SETS))
        scores, found = np.empty(len(rows), np.float32), [np.empty(0, CUT)]
        with task_directory(self.work.phase(NAME), number) as directory:
            signed = np.lib.format.open_memmap(
                directory / f"{SIGNATURES}.npy", "w+", np.uint32, (len(rows), PERMUTATIONS)
            )
            start = 0
            for part, texts in shard.batches(rows, BATCH_CHARACTERS, BATCH):
                these = slice(start, start + len(part))
                tokens = list(tokenized(texts))
                scores[these] = model.score_tokens(tokens, shard.languages(part))
                found.append(cuts(texts, find(index, texts)))
                found[-1]["document"] = here.start + part[found[-1]["document"]]
                if self.cfg.dedup.documents:
                    signed[these] = signatures_of(tokens, len(texts))
                start += len(part)
            np.save(directory / f"{SCORE}.npy", scores)
            np.save(directory / f"{CUTS}.npy", np.concatenate(found))


def first_rows(work: Work, number: int) -> np.ndarray:
    """Return the rows of a shard that stand for all that equal them, int64."""
    return np.flatnonzero(work.load(UNITE, FIRST)[work.part(number)])
