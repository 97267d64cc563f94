"""Decontamination: documents that hold a run of 13 tokens of an evaluation set (Brown et al. 2020, appendix C)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from baichuan_jax.core.files import atomic_path
from baichuan_jax.data.dedup.ngrams import ngrams
from baichuan_jax.data.dedup.shingles import batches
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.select.records import set_strings

TABLE = 24  # bits of a hash that are looked up first; few runs of ordinary text pass
STRINGS = 4096  # of an evaluation set, hashed at once


@dataclass(frozen=True)
class EvaluationSets:
    """The runs of tokens of evaluation sets.

    hashes: uint64 [runs], sorted, no two equal. owners: int16 [runs], the number of the set that a run is of, the
    first if it is of several. length: tokens in a run. Strings with fewer tokens have none: they cannot be told from
    ordinary text, and no document goes for them.
    """

    hashes: np.ndarray
    owners: np.ndarray
    length: int

    @classmethod
    def read(cls, patterns: Iterable[str], length: int) -> tuple[EvaluationSets, list[dict[str, int]]]:
        """Returns the sets at these paths, and {"strings", "runs", "too_short"} of each."""
        found, counts = [np.empty(0, np.uint64)], []
        for pattern in patterns:
            runs, strings, short = [np.empty(0, np.uint64)], 0, 0
            texts = (normalize(text) for text in set_strings(pattern))
            while batch := list(islice(texts, STRINGS)):
                hashes, numbers = _hashes(batch, length)
                runs.append(hashes)
                strings += len(batch)
                short += int((numbers == 0).sum())
            found.append(np.unique(np.concatenate(runs)))
            counts.append({"strings": strings, "runs": len(found[-1]), "too_short": short})
        owners = np.repeat(np.arange(-1, len(counts)), list(map(len, found))).astype(np.int16)
        hashes, first = np.unique(np.concatenate(found), return_index=True)
        return cls(hashes, owners[first], length), counts

    def find(self, texts: Sequence[str]) -> np.ndarray:
        """Returns for each text the number of the set that a run of it is of, or -1, int16 [texts]."""
        result = np.full(len(texts), -1, np.int16)
        if not len(self.hashes):
            return result
        for owners, parts in batches(texts):
            hashes, numbers = ngrams(parts, self.length)
            maybe = np.flatnonzero(self._table[_slots(hashes)])
            at = np.minimum(np.searchsorted(self.hashes, hashes[maybe]), len(self.hashes) - 1)
            hit = self.hashes[at] == hashes[maybe]
            text = np.repeat(owners, numbers)[maybe[hit]]
            result[text[::-1]] = self.owners[at[hit]][::-1]  # backwards, so that the first run of a text is named
        return result

    @cached_property
    def _table(self) -> np.ndarray:
        table = np.zeros(1 << TABLE, bool)
        table[_slots(self.hashes)] = True
        return table

    def save(self, path: Path) -> None:
        """Writes the sets as one .npz file."""
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.savez(file, hashes=self.hashes, owners=self.owners, length=self.length)

    @classmethod
    def load(cls, path: Path) -> EvaluationSets:
        """Reads what `save` wrote."""
        with np.load(path) as file:
            return cls(file["hashes"], file["owners"], int(file["length"]))


def _hashes(texts: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (hashes of the runs, number int64 [texts] of runs that each text has)."""
    found, numbers = [np.empty(0, np.uint64)], np.zeros(len(texts), np.int64)
    for owners, parts in batches(texts):
        hashes, counts = ngrams(parts, length)
        found.append(hashes)
        np.add.at(numbers, owners, counts)
    return np.concatenate(found), numbers


def _slots(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(64 - TABLE)).astype(np.int64)
