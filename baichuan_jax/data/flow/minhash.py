"""Phase `minhash`: score, MinHash signature and test questions of each unique document."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.dedup.shingles import tokenized
from baichuan_jax.data.dedup.signatures import signatures_of
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.exact_dedup import MODEL
from baichuan_jax.data.flow.phase_arrays import (
    CUTS,
    EVALUATION_SETS,
    EXACT_DEDUP,
    MINHASH,
    SIGNATURES,
    UNIQUE,
    UNIQUE_SCORES,
)
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.quality.model import QualityModel
from baichuan_jax.data.select.contamination import find_questions
from baichuan_jax.data.select.cuts import question_cuts
from baichuan_jax.data.select.index import EvaluationIndex
from baichuan_jax.jobs.output import task_directory

BATCH_CHARACTERS, BATCH = 1 << 19, 512  # of documents that are processed at once


@dataclass(frozen=True)
class Minhash:
    """Task NUMBER saves UNIQUE_SCORES, SIGNATURES and CUTS of a shard."""

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shard, part = self.work.shard(number), self.work.part(number)
        rows = np.flatnonzero(self.work.load(UNIQUE)[part])
        model = QualityModel.load(self.work.task(EXACT_DEDUP) / MODEL)
        index = EvaluationIndex.load(self.work.task(EVALUATION_SETS))
        scores, found = np.empty(len(rows), np.float32), [CUTS.empty()]
        with task_directory(self.work.phase(MINHASH), number) as directory:
            signatures = SIGNATURES.create(directory, len(rows))
            start = 0
            for batch, texts in shard.batches(rows, BATCH_CHARACTERS, BATCH):
                these = slice(start, start + len(batch))
                tokens = list(tokenized(texts))
                scores[these] = model.score_tokens(tokens, shard.languages(batch))
                found.append(question_cuts(texts, find_questions(index, texts)))
                found[-1]["document"] = part.start + batch[found[-1]["document"]]
                if self.cfg.dedup.documents:
                    signatures[these] = signatures_of(tokens, len(texts))
                start += len(batch)
            UNIQUE_SCORES.save(directory, scores)
            CUTS.save(directory, np.concatenate(found))
