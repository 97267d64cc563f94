"""Eighth phase: the documents that stay, without what goes of them, as files of the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from baichuan_jax.core.files import write_json
from baichuan_jax.data.dataset import SplitWriter
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.decide import NAME as DECIDE
from baichuan_jax.data.flow.documents import FATE, SCORE
from baichuan_jax.data.flow.documents import NAME as DOCUMENTS
from baichuan_jax.data.flow.fates import FATES, fate
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.repeats import DROPS, PLACE, REASONS
from baichuan_jax.data.flow.repeats import NAME as REPEATS
from baichuan_jax.data.flow.sets import NAME as SETS
from baichuan_jax.data.flow.shard import Shard
from baichuan_jax.data.flow.sign import CUTS
from baichuan_jax.data.flow.sign import NAME as SIGN
from baichuan_jax.data.flow.twins import Twins
from baichuan_jax.data.flow.without import without
from baichuan_jax.data.funnel import SAMPLES, Count, Funnel, Removed
from baichuan_jax.data.select.cuts import pieces
from baichuan_jax.data.select.index import questions, sets_of
from baichuan_jax.data.split import SPLITS
from baichuan_jax.jobs.output import task_directory

NAME, COUNTS = "write", "counts.json"
BATCH_CHARACTERS, BATCH = 1 << 17, 512  # of documents that are read together
BINS = 20  # of the histograms of scores


@dataclass(frozen=True)
class Write:
    """Task NUMBER writes the files of a shard, and counts.json: what is in them, and the funnel of these phases.

    A document with a test question in its middle becomes two: the first with its id, the others with ".1" and so on.
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shard, here = self.work.shard(number), self.work.part(number)
        fates = self.work.load(DECIDE, FATE)[here]
        scores = self.work.load(DOCUMENTS, SCORE)[here]
        drops = self.work.load(REPEATS, DROPS)
        drops = np.array(drops[slice(*np.searchsorted(drops["document"], [here.start, here.stop]))])
        cuts = np.array(self.work.load(SIGN, CUTS, number))
        cuts = cuts[np.isin(fates[cuts["document"] - here.start], [*range(len(SPLITS)), fate("contaminated")])]
        asked = questions(self.work.task(SETS), cuts["row"])
        leaked = {document: asked[row] for document, _, _, row in cuts[::-1].tolist()}
        twins = Twins(self.work)
        funnel, splits, languages = Funnel(), {split: Count() for split in SPLITS}, Counter()
        _count_removed(funnel, shard, fates, here.start, twins, leaked)
        with task_directory(self.work.phase(NAME), number) as directory, ExitStack() as stack:
            writers = {split: stack.enter_context(SplitWriter(directory, split)) for split in SPLITS}
            rows = np.flatnonzero(fates < len(SPLITS))
            # Of all documents at once: for one, a search would copy the column first.
            bounds = np.searchsorted(drops["document"], here.start + np.stack([rows, rows + 1])).tolist()
            cut_bounds = np.searchsorted(cuts["document"], here.start + np.stack([rows, rows + 1])).tolist()
            columns = (fates[rows].tolist(), shard.rows["key"][rows].tolist(), scores[rows].tolist())
            documents = zip(_texts(shard, rows), shard.languages(rows), *bounds, *cut_bounds, *columns)
            for (text, source), language, first, last, first_cut, last_cut, split_number, key, score in documents:
                parts = [text]
                if first < last or first_cut < last_cut:
                    parts = _left(text, cuts[first_cut:last_cut], drops[first:last], source, asked, funnel, twins)
                split = SPLITS[split_number]
                for place, part in enumerate(parts):
                    name = f"{key:016x}.{place}" if place else f"{key:016x}"
                    document = {"text": part, "id": name, "source": source, "language": language}
                    writers[split].write({**document, "score": score})
                    size = len(part.encode())
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
                    "contaminated": _by_set(cuts, sets_of(self.work.task(SETS), cuts["row"])),
                    "files": {split: writer.files for split, writer in writers.items()},
                    "scores": np.histogram(scores[(fates < len(SPLITS)) & (scores >= 0)], BINS, (0, 1))[0].tolist(),
                },
            )


def _texts(shard: Shard, rows: np.ndarray) -> Iterator[tuple[str, str]]:
    """Yield text and source of documents."""
    for part, texts in shard.batches(rows, BATCH_CHARACTERS, BATCH):
        yield from zip(texts, shard.sources(part))


def _count_removed(
    funnel: Funnel, shard: Shard, fates: np.ndarray, start: int, twins: Twins, leaked: dict[int, dict[str, str]]
) -> None:
    """Count what the phases after the first removed.

    start: number of the first document. leaked: what documents were contaminated with, by number.
    """
    for number in range(len(SPLITS), len(FATES)):
        rows = np.flatnonzero(fates == number)
        if len(rows):
            reason = FATES[number]
            entry = funnel.removed[reason] = Removed()
            entry.add(int(shard.rows["size"][rows].sum(dtype=np.int64)), len(rows))
            shown = rows[:SAMPLES]
            for document, text, source in zip((shown + start).tolist(), shard.texts(shown), shard.sources(shown)):
                known = leaked.get(document) if reason == "contaminated" else twins.of_document(reason, document, text)
                entry.sample(text, source, known)


def _left(
    text: str,
    cuts: np.ndarray,
    drops: np.ndarray,
    source: str,
    asked: dict[int, dict[str, str]],
    funnel: Funnel,
    twins: Twins,
) -> list[str]:
    """Return what is left of a text between its cuts (CUT), without some of its sentences (DROP)."""
    for start, end, row in cuts[["start", "end", "row"]].tolist():
        funnel.prune("contaminated", text[start:end], source, asked[row])
    spans, parts = pieces(len(text), cuts["start"].tolist(), cuts["end"].tolist()), []
    bounds = np.searchsorted(drops["start"], np.array(spans).ravel()).reshape(-1, 2).tolist()
    columns = ["start", "characters", "reason", *(f"kept_{name}" for name in PLACE)]
    for (start, end), (first, last) in zip(spans, bounds):
        inside = drops[columns][first:last].tolist()
        for place, size, number, *kept in inside:
            reason = REASONS[number]
            shown = reason == "repeated" and funnel.samples_more(reason)
            twin = twins.of_sentence(*kept) if shown else None
            funnel.prune(reason, text[place : place + size].strip(), source, twin)
        part = without(text[start:end], [(drop[0] - start, drop[1]) for drop in inside])
        parts.append(part.rstrip() if len(cuts) else part)
    return [part for part in parts if part]


def _by_set(cuts: np.ndarray, sets: np.ndarray) -> dict[str, list[int]]:
    """Return {number of an evaluation set: [documents touched, characters that went for it]}."""
    found = {}
    for number in np.unique(sets).tolist():
        mine = cuts[sets == number]
        found[str(number)] = [len(np.unique(mine["document"])), int((mine["end"] - mine["start"]).sum())]
    return found
