"""Phase `near_dedup`: of documents that are near-duplicates the best stays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baichuan_jax.data.dedup.jaccard import ExactJaccard
from baichuan_jax.data.dedup.near_duplicates import BANDS, find_duplicates
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.disk_array import DiskArray
from baichuan_jax.data.flow.phase_arrays import (
    CUTS,
    NEAR_DEDUP,
    NEAR_DUPLICATES,
    NEAR_VERDICTS,
    RANK,
    SCORES,
    SIGNATURES,
    UNIQUE,
    UNIQUE_SCORES,
)
from baichuan_jax.data.flow.shard import Shards
from baichuan_jax.data.flow.verdicts import PENDING, verdict
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.select.choose import quality_order
from baichuan_jax.jobs.output import task_directory


@dataclass(frozen=True)
class NearDedup:
    """One task. Saves NEAR_VERDICTS, SCORES, RANK and NEAR_DUPLICATES.

    It removes exact duplicates, documents that score below `QualityConfig.cut`, documents of which test questions
    leave too little, and near-duplicates among the rest.
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shards = self.work.all()
        unique = np.flatnonzero(self.work.load(UNIQUE))
        verdicts = np.full(len(shards), verdict("duplicate"), np.uint8)
        verdicts[unique] = PENDING
        scores = np.full(len(shards), -1, np.float32)
        scores[unique] = self.work.join(UNIQUE_SCORES)
        scored = scores >= 0
        verdicts[scored & (verdicts == PENDING) & (scores < self.cfg.quality.cut)] = verdict("low_quality")
        rows = shards.rows
        cuts = self.work.join(CUTS)
        whole = cuts["end"] - cuts["start"] == rows["characters"][cuts["document"]]
        verdicts[cuts["document"][whole]] = verdict("contaminated")
        rank = quality_order(scores, rows["characters"], rows["key"])
        with task_directory(self.work.phase(NEAR_DEDUP), number) as directory:
            pairs = self._near_duplicates(shards, verdicts, unique, rank, directory)
            verdicts[pairs[:, 0]] = verdict("near_duplicate")
            NEAR_VERDICTS.save(directory, verdicts)
            SCORES.save(directory, scores)
            RANK.save(directory, rank)
            NEAR_DUPLICATES.save(directory, pairs)

    def _near_duplicates(
        self, shards: Shards, verdicts: np.ndarray, unique: np.ndarray, rank: np.ndarray, scratch: Path
    ) -> np.ndarray:
        """Return int64 [near-duplicates, 2]: (document to remove, document that stays in its place)."""
        pending = verdicts[unique] == PENDING
        numbers = unique[pending]
        if not self.cfg.dedup.documents or not len(numbers):
            return NEAR_DUPLICATES.empty()
        signatures = _gather(self.work, pending, scratch / "pending.npy")
        alike = ExactJaccard(lambda indices: shards.texts(numbers[indices]), shards.rows["characters"][numbers])
        stays = find_duplicates(
            signatures,
            np.argsort(np.argsort(rank[numbers])),
            alike,
            self.cfg.dedup.documents,
            BANDS,
            self.cfg.dedup.memory * 1_000_000,
            scratch,
        )
        (scratch / "pending.npy").unlink()
        removed = np.flatnonzero(stays != np.arange(len(stays)))
        return np.stack([numbers[removed], numbers[stays[removed]]], axis=1)


def _gather(work: Work, pending: np.ndarray, path: Path) -> DiskArray:
    """Return the signatures of all shards where `pending`, bool [unique documents], is true, as one array on disk."""
    parts = work.on_disk(SIGNATURES)
    starts = np.cumsum([0, *map(len, parts)])
    chosen = (part[np.flatnonzero(pending[start : start + len(part)])] for part, start in zip(parts, starts))
    return DiskArray.write(path, chosen, int(pending.sum()))
