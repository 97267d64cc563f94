"""Phase `read`: sources, normalisation and rules; the documents that pass become the shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from baichuan_jax.data.dedup.exact import encoded_hash
from baichuan_jax.data.document import Damaged, Document
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.funnels import save_funnel
from baichuan_jax.data.flow.phase_arrays import READ, REMOVED, REMOVED_DOCUMENT
from baichuan_jax.data.flow.shard import ShardWriter
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.funnel import Funnel
from baichuan_jax.data.rules.cleaner import Cleaner
from baichuan_jax.data.sources.units import Unit, read_unit
from baichuan_jax.jobs.output import task_directory

REJECTED = "rejected"  # a directory: a shard of some of the documents that the rules removed
BATCH_CHARACTERS, BATCH = 1 << 19, 4096  # of documents that are cleaned at once


@dataclass(frozen=True)
class Read:
    """Task NUMBER reads units[NUMBER] into a shard.

    It also saves REMOVED, a sample of the removed documents as a second shard, and its funnel.
    """

    cfg: CorpusConfig
    work: Work
    units: tuple[Unit, ...]

    def __call__(self, number: int) -> None:
        with task_directory(self.work.phase(READ), number) as directory:
            funnel, removed = Funnel(), []
            cleaner = Cleaner(self.cfg.filters)
            rejected = Smallest(self.cfg.quality.examples)
            with ShardWriter(directory) as writer:
                for batch in _batches(_read(read_unit(self.units[number], self.cfg.data), funnel)):
                    removed += _clean(cleaner, batch, writer, rejected, funnel)
            (directory / REJECTED).mkdir()
            with ShardWriter(directory / REJECTED) as writer:
                for row in rejected.entries():
                    writer.write(*row)
            reasons = list(funnel.removed)
            rows = [(key, size, reasons.index(reason)) for key, size, reason in removed]
            REMOVED.save(directory, np.array(rows, REMOVED_DOCUMENT))
            save_funnel(directory, funnel)


class Smallest:
    """The texts with the smallest keys: a sample that does not depend on the order in which texts are added."""

    def __init__(self, most: int):
        self._most = most
        self._kept: list[tuple] = []

    def add(self, *entry: object) -> None:
        """Add an entry, whose first value is its key."""
        self._kept.append(entry)
        if len(self._kept) >= 2 * self._most:
            self._kept = self.entries()

    def entries(self) -> list[tuple]:
        """Return the entries, sorted."""
        return sorted(self._kept)[: self._most]


def _read(documents: Iterable[Document | Damaged], funnel: Funnel) -> Iterator[Document]:
    """Yield the documents; count damaged input."""
    for document in documents:
        if isinstance(document, Damaged):
            funnel.add_damaged(document)
        else:
            funnel.add_decoded(document)
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
    """Write what passes the rules into the shard; return (key, bytes, reason) of each document that they remove."""
    removed, read, replaced = [], 0, 0
    for document, cleaned in zip(batch, cleaner([document.text for document in batch])):
        replaced += cleaned.repaired
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
    funnel.add_read(read, len(batch), replaced)
    return removed
