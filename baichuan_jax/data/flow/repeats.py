"""Sixth phase: sentences that stand in several documents stay in the best, and documents inside others go.

Equal sentences are found first. Then near-duplicates among one sentence of each key, in two steps, because most are
like no other: buckets of all of them, on disk, say which share one; only these are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baichuan_jax.data.dedup.bands import bucket_files, rank_bits
from baichuan_jax.data.dedup.jaccard import ExactJaccard
from baichuan_jax.data.dedup.near_duplicates import find_duplicates
from baichuan_jax.data.dedup.repeated import Compared, contained, first_occurrences, repeated
from baichuan_jax.data.dedup.runs import distinct, run_starts
from baichuan_jax.data.dedup.sentences import BANDS, PLACE, WIDTH
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.documents import NAME as DOCUMENTS
from baichuan_jax.data.flow.documents import RANK
from baichuan_jax.data.flow.ondisk import OnDisk
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.sentences import LOW, OCCURRENCES, PASSAGES, SIGNATURES
from baichuan_jax.data.flow.sentences import NAME as SENTENCES
from baichuan_jax.data.flow.shard import Shards
from baichuan_jax.jobs.output import task_directory

NAME, DROPS, CONTAINED = "repeats", "drops", "contained"
REASONS = ("repeated", "low_quality")
# A sentence that goes, and where the one stands for which it goes as repeated.
DROP = np.dtype([*((f"{kept}{name}", "<u4") for kept in ("", "kept_") for name in PLACE), ("reason", "u1")])
OCCURRENCE_BYTES = 120  # memory for each sentence of the partition at work, all temporary arrays counted


@dataclass(frozen=True)
class Repeats:
    """One task. Saves `drops`, DROP, sorted by place, and `contained`, int64 [documents that go whole, 2]: (document,
    the document that holds most of it)."""

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        with task_directory(self.work.phase(NAME), number) as directory:
            gone, drops = np.empty((0, 2), np.int64), np.empty(0, DROP)
            if self.cfg.dedup.sentences:
                gone, drops = self._search(directory)
            low = np.concatenate([self._part(LOW, shard)[:] for shard in range(self.work.shards)])
            drops = np.concatenate([drops, _drops(low, REASONS.index("low_quality"))])
            order = np.lexsort((drops["start"], drops["document"]))
            np.save(directory / f"{DROPS}.npy", drops[order])
            np.save(directory / f"{CONTAINED}.npy", gone)

    def _search(self, scratch: Path) -> tuple[np.ndarray, np.ndarray]:
        """Return (documents that go with one that holds each, sentences that go)."""
        rank = np.array(self.work.load(DOCUMENTS, RANK))
        found = _Occurrences([self._part(OCCURRENCES, shard) for shard in range(self.work.shards)])
        first, several = self._equal(found, rank)
        one, other = self._near(found, first, rank, scratch)
        at = np.unique(np.concatenate([several, one, other]))
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
        gone = np.flatnonzero(holders >= 0)
        left = holders[documents] < 0
        chosen = chosen[left]
        kept = repeated(clusters[left], documents[left], chosen["start"], rank, self.cfg.dedup.sentence_documents)
        drop = np.flatnonzero((kept >= 0) & chosen["whole"])
        drops = _drops(chosen[drop], REASONS.index("repeated"))
        for name in PLACE:
            drops[f"kept_{name}"] = chosen[name][kept[drop]]
        return np.stack([gone, holders[gone]], axis=1), drops

    def _passages(self, rank: np.ndarray) -> Compared:
        """Return the passages that stand twice."""
        found = _Occurrences([self._part(PASSAGES, shard) for shard in range(self.work.shards)])
        _, several = self._equal(found, rank)
        rows = found.rows(several)
        return Compared(rows["key"], rows["document"].astype(np.int64), rows["start"], rows["characters"])

    def _equal(self, found: _Occurrences, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (bool [sentences], true for one of each key; indices int64 of all whose key stands twice)."""
        first, several = np.zeros(len(found), bool), [np.empty(0, np.int64)]
        for at, rows in found.partitions(self.cfg.dedup.memory * 1_000_000 // OCCURRENCE_BYTES):
            keys = np.ascontiguousarray(rows["key"])
            order = np.argsort(keys)
            starts = run_starts(keys[order])
            sizes = np.diff(starts, append=len(order))
            first[at[order[starts[sizes == 1]]]] = True  # most sentences: those that stand twice are sorted once more
            twice = order[np.repeat(sizes > 1, sizes)]
            best = first_occurrences(keys[twice], rows["document"][twice], rows["start"][twice], rank)
            first[at[twice[best]]] = True
            several.append(at[twice])
        return first, np.concatenate(several)

    def _near(
        self, found: _Occurrences, first: np.ndarray, rank: np.ndarray, scratch: Path
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (index of the sentence that stands for it, index of the sentence), int64 [near-duplicates] each."""
        memory = self.cfg.dedup.memory * 1_000_000
        shared = np.zeros(len(found), bool)
        bits = rank_bits(len(found))
        for path in bucket_files(self._signed(found, first), int(first.sum()), BANDS, memory, scratch, bits):
            shared[(np.fromfile(path, np.uint64) & np.uint64((1 << bits) - 1)).astype(np.int64)] = True
            path.unlink()
        chosen = np.flatnonzero(shared)
        rows = found.rows(chosen)
        path = scratch / "signatures.npy"
        signatures = OnDisk.write(path, (part for _, part in self._signed(found, shared)), len(chosen))
        order = np.lexsort((rows["start"], rank[rows["document"]]))
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        alike = ExactJaccard(_Texts(self.work.all(), rows), rows["characters"], WIDTH)
        stays = find_duplicates(signatures, places, alike, self.cfg.dedup.sentences, BANDS, memory, scratch)
        path.unlink()
        goes = np.flatnonzero(stays != np.arange(len(stays)))
        return chosen[stays[goes]], chosen[goes]

    def _signed(self, found: _Occurrences, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (indices, signatures) of the wanted sentences, a shard at a time."""
        for shard in range(self.work.shards):
            at = np.flatnonzero(wanted[found.starts[shard] : found.starts[shard + 1]])
            yield at + found.starts[shard], self._part(SIGNATURES, shard)[at]

    def _part(self, name: str, shard: int) -> OnDisk:
        return OnDisk(self.work.task(SENTENCES, shard) / f"{name}.npy")


class _Occurrences:
    """The sentences, or passages, of all shards as one array on disk. starts: int64 [shards + 1], where each begins."""

    def __init__(self, parts: list[OnDisk]):
        self._parts = parts
        self.starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def rows(self, at: np.ndarray) -> np.ndarray:
        """Return OCCURRENCE [indices]; in any order, with repeats."""
        rows, part = np.empty(len(at), self._parts[0].dtype), np.searchsorted(self.starts, at, side="right") - 1
        for number in np.unique(part):
            here = part == number
            rows[here] = self._parts[number][at[here] - self.starts[number]]
        return rows

    def partitions(self, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (indices, OCCURRENCE) of all, equal keys together, some `most` at a time."""
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
    """Fetches sentences: called with indices into `rows`, OCCURRENCE, it returns their texts."""

    shards: Shards
    rows: np.ndarray

    def __call__(self, indices: np.ndarray) -> list[str]:
        rows = self.rows[indices]
        documents = distinct(rows["document"])
        texts = dict(zip(documents.tolist(), self.shards.texts(documents)))
        places = rows[PLACE].tolist()
        return [texts[document][start : start + size] for document, start, size in places]


def _drops(rows: np.ndarray, reason: int) -> np.ndarray:
    drops = np.zeros(len(rows), DROP)
    for name in PLACE:
        drops[name] = rows[name]
    drops["reason"] = reason
    return drops
