"""Fifth phase: the sentences of the documents that are still here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.dedup.passages import PASSAGE
from baichuan_jax.data.dedup.sentences import OCCURRENCE, PERMUTATIONS, PLACE, occurrences, places
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.documents import FATE
from baichuan_jax.data.flow.documents import NAME as DOCUMENTS
from baichuan_jax.data.flow.fates import HERE
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.sign import CUTS
from baichuan_jax.data.flow.sign import NAME as SIGN
from baichuan_jax.data.flow.unite import MODEL
from baichuan_jax.data.flow.unite import NAME as UNITE
from baichuan_jax.data.language import Language
from baichuan_jax.data.quality.model import QualityModel
from baichuan_jax.data.rules.sentences import Sentences as Found
from baichuan_jax.data.rules.sentences import cut
from baichuan_jax.data.select.cuts import in_cuts
from baichuan_jax.jobs.output import task_directory

NAME, OCCURRENCES, SIGNATURES, PASSAGES, LOW = "sentences", "occurrences", "signatures", "passages", "low"
BATCH_CHARACTERS, BATCH = 1 << 17, 512


@dataclass(frozen=True)
class Sentences:
    """Task NUMBER saves of a shard, `document` being its number among those of all shards:

    `occurrences` OCCURRENCE [sentences], those long enough to count, `signatures` uint32 [sentences, PERMUTATIONS] of
    them, and `passages` PASSAGE [runs], of the others; none if repeats are not looked for. And `low` OCCURRENCE
    [sentences], those that the quality model scores below the cut, whose key is 0.
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shard, part = self.work.shard(number), self.work.part(number)
        rows = np.flatnonzero(self.work.load(DOCUMENTS, FATE)[part] == HERE)
        model = QualityModel.load(self.work.task(UNITE) / MODEL)
        cuts = self.work.load(SIGN, CUTS, number)
        parts: dict[str, list[np.ndarray]] = {
            OCCURRENCES: [np.empty(0, OCCURRENCE)],
            SIGNATURES: [np.empty((0, PERMUTATIONS), np.uint32)],
            PASSAGES: [np.empty(0, PASSAGE)],
            LOW: [np.empty(0, OCCURRENCE)],
        }
        for batch, texts in shard.batches(rows, BATCH_CHARACTERS, BATCH):
            languages, found, numbers = shard.languages(batch), cut(texts), batch + part.start
            low = self._low(model, texts, found, languages)
            low = low[_outside(low, numbers, cuts)]
            new = {LOW: low}
            if self.cfg.dedup.sentences:
                counted = occurrences(found, languages)
                left = ~np.isin(_places(counted.sentences), _places(low)) & _outside(counted.sentences, numbers, cuts)
                new |= {OCCURRENCES: counted.sentences[left], PASSAGES: counted.passages}
                parts[SIGNATURES].append(counted.signatures[left])
            for name, array in new.items():
                array["document"] = numbers[array["document"]]
                parts[name].append(array)
        with task_directory(self.work.phase(NAME), number) as directory:
            for name, arrays in parts.items():
                np.save(directory / f"{name}.npy", np.concatenate(arrays))

    def _low(self, model: QualityModel, texts: list[str], found: Found, languages: list[Language]) -> np.ndarray:
        """Return the sentences that are scored below the cut, OCCURRENCE [sentences]; `document` is an index."""
        if not self.cfg.quality.sentence_cut:
            return np.empty(0, OCCURRENCE)
        rows = places(found, np.arange(len(found.texts)))
        pieces = [texts[d][start : start + size] for d, start, size in rows[PLACE].tolist()]
        scores = model.score(pieces, [languages[d] for d in found.texts])
        return rows[(scores >= 0) & (scores < self.cfg.quality.sentence_cut) & found.whole]


def _outside(rows: np.ndarray, numbers: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return which OCCURRENCE stay when the test questions are cut out: the others are no copy of anything.

    numbers: int64, of the documents that the rows have indices of.
    """
    return ~in_cuts(cuts, numbers[rows["document"]], rows["start"], rows["start"] + rows["characters"])


def _places(rows: np.ndarray) -> np.ndarray:
    """Return document and start in one number, uint64 [sentences]."""
    return rows["document"].astype(np.uint64) << np.uint64(32) | rows["start"]
