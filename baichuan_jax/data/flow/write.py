"""Eighth phase: the documents that stay, without the sentences that go, as files of the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from baichuan_jax.core.files import write_json
from baichuan_jax.data.dataset import SplitWriter
from baichuan_jax.data.engine.output import task_directory
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.decide import NAME as DECIDE
from baichuan_jax.data.flow.documents import FATE, SCORE
from baichuan_jax.data.flow.documents import NAME as DOCUMENTS
from baichuan_jax.data.flow.fates import FATES
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.repeats import DROPS, REASONS
from baichuan_jax.data.flow.repeats import NAME as REPEATS
from baichuan_jax.data.flow.shard import Shard
from baichuan_jax.data.funnel import SAMPLES, Count, Funnel, Removed
from baichuan_jax.data.split import SPLITS

NAME, COUNTS = "write", "counts.json"
BATCH_CHARACTERS, BATCH = 1 << 17, 512  # of documents that are read together
BINS = 20  # of the histograms of scores


@dataclass(frozen=True)
class Write:
    """Task NUMBER writes the files of a shard, and counts.json: what is in them, and the funnel of these phases."""

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shard, here = self.work.shard(number), self.work.part(number)
        fates = self.work.load(DECIDE, FATE)[here]
        scores = self.work.load(DOCUMENTS, SCORE)[here]
        drops = self.work.load(REPEATS, DROPS)
        drops = drops[slice(*np.searchsorted(drops["document"], [here.start, here.stop]))]
        funnel, splits, languages = _removed(shard, fates), {split: Count() for split in SPLITS}, Counter()
        with task_directory(self.work.phase(NAME), number) as directory, ExitStack() as stack:
            writers = {split: stack.enter_context(SplitWriter(directory, split)) for split in SPLITS}
            rows = np.flatnonzero(fates < len(SPLITS))
            # Of all documents at once: for one, a search would copy the column first.
            bounds = np.searchsorted(drops["document"], here.start + np.stack([rows, rows + 1])).tolist()
            columns = (fates[rows].tolist(), shard.rows["key"][rows].tolist(), scores[rows].tolist())
            documents = zip(_texts(shard, rows), shard.languages(rows), *bounds, *columns)
            for (text, source), language, first, last, fate, key, score in documents:
                if first < last:
                    text = _without(text, drops[first:last], source, funnel)
                split = SPLITS[fate]
                document = {"text": text, "id": f"{key:016x}", "source": source, "language": language}
                writers[split].write({**document, "score": score})
                size = len(text.encode())
                splits[split].add(size)
                funnel.kept.add(size)
                languages[language] += 1
            stack.close()
            write_json(
                directory / COUNTS,
                {
                    "funnel": funnel.as_json(),
                    "splits": {split: [count.documents, count.bytes] for split, count in splits.items()},
                    "languages": languages,
                    "files": {split: writer.files for split, writer in writers.items()},
                    "scores": np.histogram(scores[(fates < len(SPLITS)) & (scores >= 0)], BINS, (0, 1))[0].tolist(),
                },
            )


def _texts(shard: Shard, rows: np.ndarray) -> Iterator[tuple[str, str]]:
    """Yields text and source of documents."""
    for part, texts in shard.batches(rows, BATCH_CHARACTERS, BATCH):
        yield from zip(texts, shard.sources(part))


def _removed(shard: Shard, fates: np.ndarray) -> Funnel:
    """Returns the funnel of what the phases after the first removed."""
    funnel = Funnel()
    for number in range(len(SPLITS), len(FATES)):
        rows = np.flatnonzero(fates == number)
        if len(rows):
            entry = funnel.removed[FATES[number]] = Removed()
            entry.add(int(shard.rows["size"][rows].sum(dtype=np.int64)), len(rows))
            for text, source in zip(shard.texts(rows[:SAMPLES]), shard.sources(rows[:SAMPLES])):
                entry.sample(text, source)
    return funnel


def _without(text: str, drops: np.ndarray, source: str, funnel: Funnel) -> str:
    """Returns a text without some of its sentences."""
    kept, end = [], 0
    for start, size, reason in drops[["start", "characters", "reason"]].tolist():
        funnel.prune(REASONS[reason], text[start : start + size], source)
        kept.append(text[end:start])
        end = start + size
    return "".join([*kept, text[end:]]).strip("\n")
