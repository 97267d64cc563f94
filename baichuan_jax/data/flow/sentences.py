"""Fifth phase: the sentences of the documents that are still here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.dedup.sentences import OCCURRENCE, PERMUTATIONS, sentence_keys, sentence_signatures
from baichuan_jax.data.engine.output import task_directory
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.documents import FATE
from baichuan_jax.data.flow.documents import NAME as DOCUMENTS
from baichuan_jax.data.flow.fates import HERE
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.unite import MODEL
from baichuan_jax.data.flow.unite import NAME as UNITE
from baichuan_jax.data.language import Language
from baichuan_jax.data.quality.model import QualityModel
from baichuan_jax.data.rules.sentences import sentences

NAME, OCCURRENCES, SIGNATURES, LOW = "sentences", "occurrences", "signatures", "low"
BATCH_CHARACTERS, BATCH = 1 << 19, 512


@dataclass(frozen=True)
class Sentences:
    """Task NUMBER saves of a shard, `document` being its number among those of all shards:

    `occurrences` OCCURRENCE [sentences], those long enough to count; `signatures` uint32 [sentences, PERMUTATIONS] of
    them; and `low` OCCURRENCE [sentences], those that the quality model scores below the cut, whose key is 0.
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shard, part = self.work.shard(number), self.work.part(number)
        rows = np.flatnonzero(self.work.load(DOCUMENTS, FATE)[part] == HERE)
        model = QualityModel.load(self.work.task(UNITE) / MODEL)
        parts: dict[str, list[np.ndarray]] = {
            OCCURRENCES: [np.empty(0, OCCURRENCE)],
            SIGNATURES: [np.empty((0, PERMUTATIONS), np.uint32)],
            LOW: [np.empty(0, OCCURRENCE)],
        }
        for batch, texts in shard.batches(rows, BATCH_CHARACTERS, BATCH):
            languages, cut = shard.languages(batch), [sentences(text) for text in texts]
            low = self._low(model, cut, languages)
            found = sentence_keys(cut, languages)
            found = found[~np.isin(_places(found), _places(low))]
            if self.cfg.dedup.sentences:
                parts[SIGNATURES].append(sentence_signatures([cut[d][p] for d, p in found[["document", "position"]]]))
            for name, array in ((OCCURRENCES, found), (LOW, low)):
                array["document"] = (batch + part.start)[array["document"]]
                parts[name].append(array)
        with task_directory(self.work.phase(NAME), number) as directory:
            for name, arrays in parts.items():
                np.save(directory / f"{name}.npy", np.concatenate(arrays))

    def _low(self, model: QualityModel, cut: list[list[str]], languages: list[Language]) -> np.ndarray:
        """Returns the sentences that are scored below the cut, OCCURRENCE [sentences]; `document` is an index."""
        if not self.cfg.quality.sentence_cut:
            return np.empty(0, OCCURRENCE)
        flat = [(d, p, sentence) for d, parts in enumerate(cut) for p, sentence in enumerate(parts)]
        scores = model.score([sentence for *_, sentence in flat], [languages[d] for d, *_ in flat])
        low = np.flatnonzero((scores >= 0) & (scores < self.cfg.quality.sentence_cut))
        return np.array([(0, flat[at][0], flat[at][1], len(flat[at][2])) for at in low], OCCURRENCE)


def _places(found: np.ndarray) -> np.ndarray:
    """Returns document and position in one number, uint64 [sentences]."""
    return found["document"].astype(np.uint64) << np.uint64(32) | found["position"]
