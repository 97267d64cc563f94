"""First phase: sources, normalisation and rules; what they leave becomes the shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from isal.isal_zlib import crc32

from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.data.dedup.exact import encoded_hash
from baichuan_jax.data.document import Damaged, Document
from baichuan_jax.data.encodings.codec import UTF8
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.shard import ShardWriter
from baichuan_jax.data.funnel import Funnel
from baichuan_jax.data.rules.cleaner import Cleaner
from baichuan_jax.data.sources.source import Unit, read_unit
from baichuan_jax.jobs.output import task_directory

NAME, FUNNEL, REJECTED, REMOVED = "read", "funnel.json", "rejected", "removed"
# Of a document that a rule removed. reason: index in the order of the funnel's reasons. size: bytes as it was read.
REMOVED_ROW = np.dtype([("key", "<u8"), ("size", "<u4"), ("reason", "u1")])
BATCH_CHARACTERS, BATCH = 1 << 19, 4096  # of documents that are cleaned at once


@dataclass(frozen=True)
class Read:
    """Task NUMBER reads units[NUMBER] into a shard, and a sample of what the rules removed into a shard within it.

    It also saves `removed` REMOVED_ROW [documents], all that the rules removed, in order.
    """

    cfg: CorpusConfig
    work: Work
    units: tuple[Unit, ...]

    def __call__(self, number: int) -> None:
        with task_directory(self.work.phase(NAME), number) as directory:
            funnel, removed = Funnel(), []
            cleaner = Cleaner(self.cfg.filters)
            rejected = Smallest(self.cfg.quality.examples)
            with ShardWriter(directory) as writer:
                for batch in _batches(_read(read_unit(self.units[number], self.cfg.data), funnel)):
                    removed += _clean(cleaner, batch, writer, rejected, funnel)
            _write_rejected(rejected, directory / REJECTED)
            reasons = list(funnel.removed)
            rows = [(key, size, reasons.index(reason)) for key, size, reason in removed]
            np.save(directory / f"{REMOVED}.npy", np.array(rows, REMOVED_ROW))
            write_json(directory / FUNNEL, funnel.as_json())


def read_funnel(work: Work, number: int) -> Funnel:
    """Return the funnel that a task has left."""
    return Funnel.from_json(read_json(work.task(NAME, number) / FUNNEL))


class Smallest:
    """Of the texts given it keeps those with the smallest keys: a sample that no order of them changes."""

    def __init__(self, most: int):
        self._most = most
        self._kept: list[tuple] = []

    def add(self, *entry: object) -> None:
        """Take an entry that begins with its key."""
        self._kept.append(entry)
        if len(self._kept) >= 2 * self._most:
            self._kept = self.entries()

    def entries(self) -> list[tuple]:
        """Return the entries, sorted."""
        return sorted(self._kept)[: self._most]


def _read(documents: Iterable[Document | Damaged], funnel: Funnel) -> Iterator[Document]:
    """Yield the documents, and counts what was damaged."""
    for document in documents:
        if isinstance(document, Damaged):
            size = len(document.text.encode())
            funnel.read.add(size)
            funnel.remove(document.reason, size, document.text, document.message)
            for name, characters in document.fields.items():
                funnel.fields[name] = funnel.fields.get(name, 0) + characters
            continue
        funnel.replaced += document.replaced
        if document.encoding != UTF8:
            funnel.encodings[document.encoding] = funnel.encodings.get(document.encoding, 0) + 1
        yield document


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch, characters = [], 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if characters >= BATCH_CHARACTERS or len(batch) == BATCH:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _clean(
    cleaner: Cleaner, batch: list[Document], writer: ShardWriter, rejected: Smallest, funnel: Funnel
) -> list[tuple[int, int, str]]:
    """Put what the rules leave of a batch into the shard; return (key, bytes, reason) of what they removed."""
    removed, read = [], 0
    for document, cleaned in zip(batch, cleaner([document.text for document in batch])):
        funnel.replaced += cleaned.repaired
        for reason, pieces in cleaned.pruned.items():
            for piece in pieces:
                funnel.prune(reason, piece, document.source)
        whole = cleaned.normal.encode()
        size = len(whole if cleaned.normal == document.text else document.text.encode())
        read += size
        raw = whole if cleaned.text is cleaned.normal else cleaned.text.encode()
        key = encoded_hash(whole)
        row = (key, crc32(raw), raw, len(cleaned.text), cleaned.language, document.source)
        if cleaned.reason is None:
            writer.write(*row)
        else:
            funnel.remove(cleaned.reason, size, document.text, document.source)
            rejected.add(*row)
            removed.append((key, size, cleaned.reason))
    funnel.read.add(read, len(batch))
    return removed


def _write_rejected(rejected: Smallest, directory: Path) -> None:
    directory.mkdir()
    with ShardWriter(directory) as writer:
        for row in rejected.entries():
            writer.write(*row)
