"""Phase `sentence_minhash`: keys and MinHash signatures of the sentences of documents that were not removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.dedup.occurrences import OCCURRENCE, PLACE, occurrences, places
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.exact_dedup import MODEL
from baichuan_jax.data.flow.phase_arrays import (
    CUTS,
    EXACT_DEDUP,
    LOW_QUALITY,
    NEAR_VERDICTS,
    OCCURRENCES,
    PASSAGES,
    SENTENCE_MINHASH,
    SENTENCE_SIGNATURES,
)
from baichuan_jax.data.flow.verdicts import PENDING
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.language import Language
from baichuan_jax.data.quality.model import QualityModel
from baichuan_jax.data.rules.sentences import Sentences, split_sentences
from baichuan_jax.data.select.cuts import in_cuts
from baichuan_jax.jobs.output import task_directory

BATCH_CHARACTERS, BATCH = 1 << 17, 512  # of documents that are processed at once


@dataclass(frozen=True)
class SentenceMinhash:
    """Task NUMBER saves OCCURRENCES, SENTENCE_SIGNATURES, PASSAGES and LOW_QUALITY of a shard.

    The first three are empty if `DedupConfig.sentences` is 0.
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shard, part = self.work.shard(number), self.work.part(number)
        rows = np.flatnonzero(self.work.load(NEAR_VERDICTS)[part] == PENDING)
        model = QualityModel.load(self.work.task(EXACT_DEDUP) / MODEL)
        cuts = self.work.load(CUTS, number)
        saved = (OCCURRENCES, SENTENCE_SIGNATURES, PASSAGES, LOW_QUALITY)
        parts = {array: [array.empty()] for array in saved}
        for batch, texts in shard.batches(rows, BATCH_CHARACTERS, BATCH):
            languages, found, numbers = shard.languages(batch), split_sentences(texts), batch + part.start
            low = self._low(model, texts, found, languages)
            low = low[_outside(low, numbers, cuts)]
            new = {LOW_QUALITY: low}
            if self.cfg.dedup.sentences:
                counted = occurrences(found, languages)
                left = ~np.isin(_places(counted.sentences), _places(low)) & _outside(counted.sentences, numbers, cuts)
                new |= {OCCURRENCES: counted.sentences[left], PASSAGES: counted.passages}
                parts[SENTENCE_SIGNATURES].append(counted.signatures[left])
            for array, values in new.items():
                values["document"] = numbers[values["document"]]
                parts[array].append(values)
        with task_directory(self.work.phase(SENTENCE_MINHASH), number) as directory:
            for array, batches in parts.items():
                array.save(directory, np.concatenate(batches))

    def _low(self, model: QualityModel, texts: list[str], found: Sentences, languages: list[Language]) -> np.ndarray:
        """Return the sentences that score below the cut, OCCURRENCE [sentences]; `document` is an index in `texts`."""
        if not self.cfg.quality.sentence_cut:
            return np.empty(0, OCCURRENCE)
        rows = places(found, np.arange(len(found.texts)))
        pieces = [texts[d][start : start + size] for d, start, size in rows[PLACE].tolist()]
        scores = model.score(pieces, [languages[d] for d in found.texts])
        return rows[(scores >= 0) & (scores < self.cfg.quality.sentence_cut) & found.whole]


def _outside(rows: np.ndarray, numbers: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return which sentences (OCCURRENCE) lie outside the cuts, bool [sentences]; the others are removed anyway.

    numbers: int64 [documents], of those that the field `document` of `rows` indexes. cuts: CUT.
    """
    return ~in_cuts(cuts, numbers[rows["document"]], rows["start"], rows["start"] + rows["characters"])


def _places(rows: np.ndarray) -> np.ndarray:
    """Return document << 32 | start, uint64 [sentences]."""
    return rows["document"].astype(np.uint64) << np.uint64(32) | rows["start"]
