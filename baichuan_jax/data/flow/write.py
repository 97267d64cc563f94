"""Phase `write`: the documents that stay, without the spans to remove, as files of the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from baichuan_jax.core.files import write_json
from baichuan_jax.data.dataset import SplitWriter
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.funnels import save_funnel
from baichuan_jax.data.flow.phase_arrays import (
    CUTS,
    DROP_REASONS,
    DROPS,
    EVALUATION_SETS,
    FINAL_VERDICTS,
    SCORES,
    WRITE,
)
from baichuan_jax.data.flow.shard import Shard
from baichuan_jax.data.flow.spans import remove_spans
from baichuan_jax.data.flow.twins import Twins
from baichuan_jax.data.flow.verdicts import VERDICTS, verdict
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.funnel import SAMPLES, Count, Funnel
from baichuan_jax.data.select.cuts import pieces
from baichuan_jax.data.select.index import questions, sets_of
from baichuan_jax.data.split import SPLITS
from baichuan_jax.jobs.output import task_directory

COUNTS = "counts.json"
BATCH_CHARACTERS, BATCH = 1 << 17, 512  # of documents that are read at once
BINS = 20  # of the histograms of scores


@dataclass(frozen=True)
class Write:
    """Task NUMBER writes the files of a shard, counts.json, which describes them, and the funnel from `exact_dedup` on.

    A document with a test question in its middle becomes two: the first keeps its id, the others get ".1" and so on.
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shard, part = self.work.shard(number), self.work.part(number)
        verdicts = self.work.load(FINAL_VERDICTS)[part]
        scores = self.work.load(SCORES)[part]
        drops = self.work.load(DROPS)
        drops = np.array(drops[slice(*np.searchsorted(drops["document"], [part.start, part.stop]))])
        cuts = np.array(self.work.load(CUTS, number))
        used = [*range(len(SPLITS)), verdict("contaminated")]
        cuts = cuts[np.isin(verdicts[cuts["document"] - part.start], used)]
        asked = questions(self.work.task(EVALUATION_SETS), cuts["row"])
        twins = Twins(self.work)
        funnel, splits, languages = Funnel(), {split: Count() for split in SPLITS}, Counter()
        first_question = {document: asked[row] for document, _, _, row in cuts[::-1].tolist()}
        _count_removed(funnel, shard, verdicts, part.start, twins, first_question)
        with task_directory(self.work.phase(WRITE), number) as directory, ExitStack() as stack:
            writers = {split: stack.enter_context(SplitWriter(directory, split)) for split in SPLITS}
            rows = np.flatnonzero(verdicts < len(SPLITS))
            # For all documents at once: a search for a single one would copy the whole column first.
            drop_bounds = np.searchsorted(drops["document"], part.start + np.stack([rows, rows + 1])).tolist()
            cut_bounds = np.searchsorted(cuts["document"], part.start + np.stack([rows, rows + 1])).tolist()
            columns = (verdicts[rows].tolist(), shard.rows["key"][rows].tolist(), scores[rows].tolist())
            documents = zip(_texts(shard, rows), shard.languages(rows), *drop_bounds, *cut_bounds, *columns)
            for (text, source), language, drop, drop_end, cut, cut_end, split_number, key, score in documents:
                parts = [text]
                if drop < drop_end or cut < cut_end:
                    parts = _remaining(text, cuts[cut:cut_end], drops[drop:drop_end], source, asked, funnel, twins)
                split = SPLITS[split_number]
                for index, piece in enumerate(parts):
                    name = f"{key:016x}.{index}" if index else f"{key:016x}"
                    document = {"text": piece, "id": name, "source": source, "language": language}
                    writers[split].write({**document, "score": score})
                    size = len(piece.encode())
                    splits[split].add(size)
                    funnel.keep(size)
                    languages[language] += 1
            stack.close()
            save_funnel(directory, funnel)
            write_json(
                directory / COUNTS,
                {
                    "splits": {split: [count.documents, count.bytes] for split, count in splits.items()},
                    "languages": languages,
                    "contaminated": _by_set(cuts, sets_of(self.work.task(EVALUATION_SETS), cuts["row"])),
                    "files": {split: writer.files for split, writer in writers.items()},
                    "scores": np.histogram(scores[(verdicts < len(SPLITS)) & (scores >= 0)], BINS, (0, 1))[0].tolist(),
                },
            )


def _texts(shard: Shard, rows: np.ndarray) -> Iterator[tuple[str, str]]:
    """Yield (text, source) of documents."""
    for part, texts in shard.batches(rows, BATCH_CHARACTERS, BATCH):
        yield from zip(texts, shard.sources(part))


def _count_removed(
    funnel: Funnel, shard: Shard, verdicts: np.ndarray, start: int, twins: Twins, first_question: dict[int, dict]
) -> None:
    """Count the documents that were removed since the phase `read`.

    start: number of the shard's first document. first_question: {number of a document: the test question in it}.
    """
    for code, reason in enumerate(VERDICTS[len(SPLITS) :], len(SPLITS)):
        rows = np.flatnonzero(verdicts == code)
        if len(rows):
            shown, samples = rows[:SAMPLES], []
            for document, text, source in zip((shown + start).tolist(), shard.texts(shown), shard.sources(shown)):
                asked = reason == "contaminated"
                twin = first_question.get(document) if asked else twins.of_document(reason, document, text)
                samples.append((text, source, twin))
            funnel.remove_many(reason, int(shard.rows["size"][rows].sum(dtype=np.int64)), len(rows), samples)


def _remaining(
    text: str,
    cuts: np.ndarray,
    drops: np.ndarray,
    source: str,
    asked: dict[int, dict[str, str]],
    funnel: Funnel,
    twins: Twins,
) -> list[str]:
    """Return the pieces of a text between its cuts (CUT), without its sentences to remove (DROP); count both."""
    for start, end, row in cuts[["start", "end", "row"]].tolist():
        funnel.prune("contaminated", text[start:end], source, asked[row])
    spans, parts = pieces(len(text), cuts["start"].tolist(), cuts["end"].tolist()), []
    bounds = np.searchsorted(drops["start"], np.array(spans).ravel()).reshape(-1, 2).tolist()
    columns = ["start", "characters", "reason", "kept_document", "kept_start", "kept_characters"]
    for (start, end), (first, last) in zip(spans, bounds):
        inside = drops[columns][first:last].tolist()
        for place, size, number, *kept in inside:
            reason = DROP_REASONS[number]
            shown = reason == "repeated" and funnel.samples_more(reason)
            twin = twins.of_sentence(*kept) if shown else None
            funnel.prune(reason, text[place : place + size].strip(), source, twin)
        part = remove_spans(text[start:end], [(drop[0] - start, drop[1]) for drop in inside])
        parts.append(part.rstrip() if len(cuts) else part)
    return [part for part in parts if part]


def _by_set(cuts: np.ndarray, sets: np.ndarray) -> dict[str, list[int]]:
    """Return {number of an evaluation set: [documents with text of it, characters that were cut]}.

    sets: int [cuts], the evaluation set of each.
    """
    found = {}
    for number in np.unique(sets).tolist():
        mine = cuts[sets == number]
        found[str(number)] = [len(np.unique(mine["document"])), int((mine["end"] - mine["start"]).sum())]
    return found
