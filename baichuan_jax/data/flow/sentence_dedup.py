"""Phase `sentence_dedup`: a sentence that several documents share stays in the best; contained documents are removed.

Equal sentences are found first. Then near-duplicates are found among one sentence of each key, in two steps, because
most sentences resemble no other: buckets of all of them, on disk, tell which share one, and only these are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baichuan_jax.data.dedup.bands import bucket_files, rank_bits
from baichuan_jax.data.dedup.jaccard import ExactJaccard
from baichuan_jax.data.dedup.near_duplicates import find_duplicates
from baichuan_jax.data.dedup.occurrences import BANDS, PLACE, WIDTH
from baichuan_jax.data.dedup.repeated import Compared, contained, first_occurrences, repeated
from baichuan_jax.data.dedup.runs import distinct, run_starts
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.disk_array import DiskArray
from baichuan_jax.data.flow.phase_arrays import (
    CONTAINED,
    DROP,
    DROP_REASONS,
    DROPS,
    LOW_QUALITY,
    OCCURRENCES,
    PASSAGES,
    RANK,
    SENTENCE_DEDUP,
    SENTENCE_SIGNATURES,
)
from baichuan_jax.data.flow.shard import Shards
from baichuan_jax.data.flow.work import Work
from baichuan_jax.jobs.output import task_directory

OCCURRENCE_BYTES = 120  # memory for each sentence of the partition that is processed, with all temporary arrays


@dataclass(frozen=True)
class SentenceDedup:
    """One task. Saves DROPS and CONTAINED."""

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        with task_directory(self.work.phase(SENTENCE_DEDUP), number) as directory:
            removed, drops = CONTAINED.empty(), DROPS.empty()
            if self.cfg.dedup.sentences:
                removed, drops = self._search(directory)
            low = self.work.join(LOW_QUALITY)
            drops = np.concatenate([drops, _drops(low, "low_quality")])
            order = np.lexsort((drops["start"], drops["document"]))
            DROPS.save(directory, drops[order])
            CONTAINED.save(directory, removed)

    def _search(self, scratch: Path) -> tuple[np.ndarray, np.ndarray]:
        """Return (CONTAINED, the part of DROPS that is "repeated")."""
        rank = np.array(self.work.load(RANK))
        found = _Occurrences(self.work.on_disk(OCCURRENCES))
        first, shared = self._equal(found, rank)
        one, other = self._near(found, first, rank, scratch)
        at = np.unique(np.concatenate([shared, one, other]))
        chosen = found.rows(at)
        clusters = chosen["key"].copy()
        like, leader = found.rows(other)["key"], found.rows(one)["key"]
        order = np.argsort(like)
        like, leader = like[order], leader[order]
        places = np.minimum(np.searchsorted(like, clusters), max(0, len(like) - 1))
        if len(like):
            clusters = np.where(like[places] == clusters, leader[places], clusters)
        documents, characters = chosen["document"].astype(np.int64), self.work.all().rows["characters"]
        sentences = Compared(clusters, documents, chosen["start"], chosen["characters"])
        holders = contained(sentences, self._passages(rank), rank, characters, self.cfg.dedup.contained)
        removed = np.flatnonzero(holders >= 0)
        left = holders[documents] < 0
        chosen = chosen[left]
        kept = repeated(clusters[left], documents[left], chosen["start"], rank, self.cfg.dedup.sentence_documents)
        drop = np.flatnonzero((kept >= 0) & chosen["whole"])
        drops = _drops(chosen[drop], "repeated")
        for name in PLACE:
            drops[f"kept_{name}"] = chosen[name][kept[drop]]
        return np.stack([removed, holders[removed]], axis=1), drops

    def _passages(self, rank: np.ndarray) -> Compared:
        """Return the passages whose key occurs more than once."""
        found = _Occurrences(self.work.on_disk(PASSAGES))
        _, shared = self._equal(found, rank)
        rows = found.rows(shared)
        return Compared(rows["key"], rows["document"].astype(np.int64), rows["start"], rows["characters"])

    def _equal(self, found: _Occurrences, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (bool [sentences], true for one of each key; int64, indices of those whose key occurs twice)."""
        first, shared = np.zeros(len(found), bool), [np.empty(0, np.int64)]
        for at, rows in found.partitions(self.cfg.dedup.memory * 1_000_000 // OCCURRENCE_BYTES):
            keys = np.ascontiguousarray(rows["key"])
            order = np.argsort(keys)
            starts = run_starts(keys[order])
            sizes = np.diff(starts, append=len(order))
            first[at[order[starts[sizes == 1]]]] = True  # most sentences; the others are sorted once more
            twice = order[np.repeat(sizes > 1, sizes)]
            best = first_occurrences(keys[twice], rows["document"][twice], rows["start"][twice], rank)
            first[at[twice[best]]] = True
            shared.append(at[twice])
        return first, np.concatenate(shared)

    def _near(
        self, found: _Occurrences, first: np.ndarray, rank: np.ndarray, scratch: Path
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (indices of the sentences that stay, indices of their near-duplicates), int64 [near-duplicates]."""
        memory = self.cfg.dedup.memory * 1_000_000
        shared = np.zeros(len(found), bool)
        bits = rank_bits(len(found))
        for path in bucket_files(self._signed(found, first), int(first.sum()), BANDS, memory, scratch, bits):
            shared[(np.fromfile(path, np.uint64) & np.uint64((1 << bits) - 1)).astype(np.int64)] = True
            path.unlink()
        chosen = np.flatnonzero(shared)
        rows = found.rows(chosen)
        path = scratch / "signatures.npy"
        signatures = DiskArray.write(path, (part for _, part in self._signed(found, shared)), len(chosen))
        order = np.lexsort((rows["start"], rank[rows["document"]]))
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        alike = ExactJaccard(_Texts(self.work.all(), rows), rows["characters"], WIDTH)
        stays = find_duplicates(signatures, places, alike, self.cfg.dedup.sentences, BANDS, memory, scratch)
        path.unlink()
        other = np.flatnonzero(stays != np.arange(len(stays)))
        return chosen[stays[other]], chosen[other]

    def _signed(self, found: _Occurrences, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (indices, signatures) of the wanted sentences, one shard at a time."""
        for shard, signatures in enumerate(self.work.on_disk(SENTENCE_SIGNATURES)):
            at = np.flatnonzero(wanted[found.starts[shard] : found.starts[shard + 1]])
            yield at + found.starts[shard], signatures[at]


class _Occurrences:
    """The sentences, or passages, of all shards as one array on disk. starts: int64 [shards + 1], of the shards."""

    def __init__(self, parts: list[DiskArray]):
        self._parts = parts
        self.starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def rows(self, at: np.ndarray) -> np.ndarray:
        """Return OCCURRENCE [indices]; the indices may be in any order, and repeat."""
        rows, part = np.empty(len(at), self._parts[0].dtype), np.searchsorted(self.starts, at, side="right") - 1
        for number in np.unique(part):
            here = part == number
            rows[here] = self._parts[number][at[here] - self.starts[number]]
        return rows

    def partitions(self, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (indices, OCCURRENCE) of all, about `most` at a time; equal keys are never apart."""
        bits = max(0, (-(-len(self) // most) - 1).bit_length())
        for number in range(1 << bits):
            at, rows = [np.empty(0, np.int64)], [np.empty(0, self._parts[0].dtype)]
            for start, part in zip(self.starts, self._parts):
                everything = part[:]
                here = np.arange(len(everything))
                if bits:
                    here = np.flatnonzero(everything["key"] >> np.uint64(64 - bits) == number)
                at.append(here + start)
                rows.append(everything[here])
            yield np.concatenate(at), np.concatenate(rows)


@dataclass(frozen=True)
class _Texts:
    """Read the texts of sentences, given by their indices in `rows`, OCCURRENCE."""

    shards: Shards
    rows: np.ndarray

    def __call__(self, indices: np.ndarray) -> list[str]:
        rows = self.rows[indices]
        documents = distinct(rows["document"])
        texts = dict(zip(documents.tolist(), self.shards.texts(documents)))
        places = rows[PLACE].tolist()
        return [texts[document][start : start + size] for document, start, size in places]


def _drops(rows: np.ndarray, reason: str) -> np.ndarray:
    """Return DROP [sentences], without where the copies stand that stay. rows: OCCURRENCE."""
    drops = np.zeros(len(rows), DROP)
    for name in PLACE:
        drops[name] = rows[name]
    drops["reason"] = DROP_REASONS.index(reason)
    return drops
