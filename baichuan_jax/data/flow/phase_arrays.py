"""The phases of the data step, and the one table of the arrays that they exchange.

A phase saves its arrays with `Array.save` and later phases load them through `Work`; both check dtype and columns, so
a phase cannot write what another does not expect. Beside these a task of `read` leaves its shard (see `shard.py`).

"documents" are those of all shards, one shard after the other, as `Work.all` counts them; a document that an array
names is named by this number. Documents are "unique" if they were not removed as exact duplicates of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baichuan_jax.data.dedup.occurrences import OCCURRENCE, PLACE
from baichuan_jax.data.dedup.occurrences import PERMUTATIONS as SENTENCE_PERMUTATIONS
from baichuan_jax.data.dedup.passages import PASSAGE
from baichuan_jax.data.dedup.signatures import PERMUTATIONS
from baichuan_jax.data.select.cuts import CUT

READ, EXACT_DEDUP, EVALUATION_SETS, MINHASH = "read", "exact_dedup", "evaluation_sets", "minhash"
NEAR_DEDUP, SENTENCE_MINHASH, SENTENCE_DEDUP = "near_dedup", "sentence_minhash", "sentence_dedup"
ASSIGN, WRITE = "assign", "write"
PER_SHARD = (READ, MINHASH, SENTENCE_MINHASH, WRITE)  # one task for each shard; the other phases are a single task

# key: as `shard.ROW`. size: bytes as the document was read. reason: index in the order of the funnel's reasons.
REMOVED_DOCUMENT = np.dtype([("key", "<u8"), ("size", "<u4"), ("reason", "u1")])
# A sentence to be removed, and the place of the copy that stays instead if the reason is "repeated".
DROP = np.dtype([*((f"{kept}{name}", "<u4") for kept in ("", "kept_") for name in PLACE), ("reason", "u1")])
DROP_REASONS = ("repeated", "low_quality")


@dataclass(frozen=True)
class Array:
    """An array that one phase saves and later ones load.

    phase: the phase whose tasks save it, as NAME.npy in their directories. rows: what a row stands for; of a phase in
    PER_SHARD, in the task's shard. columns: of a two-dimensional array. read_by: the modules that load it.
    """

    phase: str
    name: str
    dtype: Any
    rows: str
    read_by: tuple[str, ...]
    columns: int | None = None

    def save(self, directory: Path, values: np.ndarray) -> None:
        """Save the array in the directory of a task."""
        self.check(values)
        np.save(self.path(directory), values)

    def create(self, directory: Path, rows: int) -> np.ndarray:
        """Return the array, to be filled in: it is mapped from the directory of a task."""
        return np.lib.format.open_memmap(self.path(directory), "w+", self.dtype, (rows, *self._row_shape()))

    def load(self, directory: Path) -> np.ndarray:
        """Return the array that a task saved, mapped from its file."""
        values = np.load(self.path(directory), mmap_mode="r")
        self.check(values)
        return values

    def empty(self) -> np.ndarray:
        """Return the array without rows."""
        return np.empty((0, *self._row_shape()), self.dtype)

    def path(self, directory: Path) -> Path:
        """Return the file in the directory of a task."""
        return directory / f"{self.name}.npy"

    def check(self, values: Any) -> None:
        """Raise TypeError if an array (of any kind with dtype and shape) is not as declared."""
        found, declared = (values.dtype, values.shape[1:]), (np.dtype(self.dtype), self._row_shape())
        if found != declared:
            raise TypeError(f"array {self.name!r} of phase {self.phase!r}: {found}, declared as {declared}")

    def _row_shape(self) -> tuple[int, ...]:
        return () if self.columns is None else (self.columns,)


# What the rules removed.
REMOVED = Array(READ, "removed", REMOVED_DOCUMENT, "removed documents", ("exact_dedup",))
# Whether a document is unique; the unique document that equals it; where each shard begins.
UNIQUE = Array(EXACT_DEDUP, "unique", bool, "documents", ("minhash", "near_dedup"))
ORIGINALS = Array(EXACT_DEDUP, "originals", np.int64, "documents", ("twins",))
STARTS = Array(EXACT_DEDUP, "starts", np.int64, "shards, and the end of the last", ("work",))
# (shard, reason, bytes) of a document that the rules removed and that equals one removed earlier.
REMOVED_COPIES = Array(EXACT_DEDUP, "removed_copies", np.int64, "copies among the removed", ("funnels",), columns=3)
# Score of the quality model, -1 where there is no model; spans of test questions to cut out, `document` as said above.
UNIQUE_SCORES = Array(MINHASH, "scores", np.float32, "unique documents", ("near_dedup",))
SIGNATURES = Array(MINHASH, "signatures", np.uint32, "unique documents", ("near_dedup",), columns=PERMUTATIONS)
CUTS = Array(MINHASH, "cuts", CUT, "cuts", ("near_dedup", "sentence_minhash", "assign", "write"))
# Index in `verdicts.VERDICTS`; score, -1 for duplicates too; 0 for the best document; (removed, kept in its place).
NEAR_VERDICTS = Array(NEAR_DEDUP, "verdicts", np.uint8, "documents", ("sentence_minhash", "assign"))
SCORES = Array(NEAR_DEDUP, "scores", np.float32, "documents", ("assign", "write"))
RANK = Array(NEAR_DEDUP, "rank", np.int64, "documents", ("sentence_dedup",))
NEAR_DUPLICATES = Array(NEAR_DEDUP, "near_duplicates", np.int64, "near-duplicates", ("pairs", "twins"), columns=2)
# Of documents that are still PENDING: sentences long enough to compare; their signatures; runs with short ones;
# and sentences that score below `QualityConfig.sentence_cut`, with key 0.
OCCURRENCES = Array(SENTENCE_MINHASH, "occurrences", OCCURRENCE, "sentences", ("sentence_dedup",))
SENTENCE_SIGNATURES = Array(
    SENTENCE_MINHASH, "signatures", np.uint32, "sentences", ("sentence_dedup",), columns=SENTENCE_PERMUTATIONS
)
PASSAGES = Array(SENTENCE_MINHASH, "passages", PASSAGE, "runs of sentences", ("sentence_dedup",))
LOW_QUALITY = Array(SENTENCE_MINHASH, "low_quality", OCCURRENCE, "sentences of low quality", ("sentence_dedup",))
# Sentences to remove, by document and start; (document removed, the document that contains most of it).
DROPS = Array(SENTENCE_DEDUP, "drops", DROP, "sentences to remove", ("assign", "write"))
CONTAINED = Array(SENTENCE_DEDUP, "contained", np.int64, "contained documents", ("assign", "twins"), columns=2)
# Index in `verdicts.VERDICTS`, final.
FINAL_VERDICTS = Array(ASSIGN, "verdicts", np.uint8, "documents", ("write",))
