"""Fourth phase: of documents that are nearly the same, the best stays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baichuan_jax.data.dedup.jaccard import ExactJaccard
from baichuan_jax.data.dedup.near_duplicates import BANDS, find_duplicates
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.fates import HERE, fate
from baichuan_jax.data.flow.ondisk import OnDisk
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.shard import Shards
from baichuan_jax.data.flow.sign import CUTS, SCORE, SIGNATURES
from baichuan_jax.data.flow.sign import NAME as SIGN
from baichuan_jax.data.flow.unite import FIRST
from baichuan_jax.data.flow.unite import NAME as UNITE
from baichuan_jax.data.select.choose import quality_order
from baichuan_jax.jobs.output import task_directory

NAME, FATE, RANK, KEPT = "documents", "fate", "rank", "kept"


@dataclass(frozen=True)
class Documents:
    """One task. Saves, for all documents in the order of the shards:

    `fate` uint8, HERE or why a document goes; `score` float32; `rank` int64, 0 is the best of all; and `kept` int64
    [near-duplicates, 2]: (document that goes, document that stays for it).
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shards = self.work.all()
        first = np.flatnonzero(self.work.load(UNITE, FIRST))
        fates = np.full(len(shards), fate("duplicate"), np.uint8)
        fates[first] = HERE
        score = np.full(len(shards), -1, np.float32)
        score[first] = self.work.join(SIGN, SCORE)
        scored = score >= 0
        fates[scored & (fates == HERE) & (score < self.cfg.quality.cut)] = fate("low_quality")
        rows = shards.rows
        cuts = self.work.join(SIGN, CUTS)
        whole = cuts["end"] - cuts["start"] == rows["characters"][cuts["document"]]
        fates[cuts["document"][whole]] = fate("contaminated")
        rank = quality_order(score, rows["characters"], rows["key"])
        with task_directory(self.work.phase(NAME), number) as directory:
            kept = self._near(shards, fates, first, rank, directory)
            fates[kept[:, 0]] = fate("near_duplicate")
            for name, array in ((FATE, fates), (SCORE, score), (RANK, rank), (KEPT, kept)):
                np.save(directory / f"{name}.npy", array)

    def _near(
        self, shards: Shards, fates: np.ndarray, first: np.ndarray, rank: np.ndarray, directory: Path
    ) -> np.ndarray:
        """Return int64 [near-duplicates, 2]: (document that goes, document that stays for it)."""
        here = fates[first] == HERE
        numbers = first[here]
        if not self.cfg.dedup.documents or not len(numbers):
            return np.empty((0, 2), np.int64)
        signatures = _gather(self.work, here, directory / "signatures.npy")
        alike = ExactJaccard(lambda indices: shards.texts(numbers[indices]), shards.rows["characters"][numbers])
        stays = find_duplicates(
            signatures,
            np.argsort(np.argsort(rank[numbers])),
            alike,
            self.cfg.dedup.documents,
            BANDS,
            self.cfg.dedup.memory * 1_000_000,
            directory,
        )
        (directory / "signatures.npy").unlink()
        gone = np.flatnonzero(stays != np.arange(len(stays)))
        return np.stack([numbers[gone], numbers[stays[gone]]], axis=1)


def _gather(work: Work, here: np.ndarray, path: Path) -> OnDisk:
    """Return the signatures of all shards for which `here` is true, as one array on disk."""
    parts = [OnDisk(work.task(SIGN, number) / f"{SIGNATURES}.npy") for number in range(work.shards)]
    starts = np.cumsum([0, *map(len, parts)])
    chosen = (part[np.flatnonzero(here[start : start + len(part)])] for part, start in zip(parts, starts))
    return OnDisk.write(path, chosen, int(here.sum()))
