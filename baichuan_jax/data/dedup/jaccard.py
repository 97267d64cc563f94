"""Exact Jaccard similarity of texts: |intersection| / |union| of their sets of shingles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.dedup.runs import distinct, ranges
from baichuan_jax.data.dedup.shingles import TOKENS, batches, shingles

AT_ONCE = 1 << 20  # characters of pairs compared at once, more if one pair has more: up to 60 bytes of memory each


@dataclass(frozen=True)
class ExactJaccard:
    """Compare texts given by their indices: the argument `alike` of `near_duplicates.find_duplicates`.

    fetch: takes indices, int64 [texts], and returns the texts.
    characters: int [texts], the length of each text or an upper bound; it limits the texts in memory to AT_ONCE.
    width: tokens in a shingle. Shingles are compared by 32-bit hashes; long texts are cut as in
    `signatures.signatures`.
    """

    fetch: Callable[[np.ndarray], list[str]]
    characters: np.ndarray
    width: int = TOKENS

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the similarity of the texts of each pair, float64 [pairs]; 1 if neither has a letter or digit."""
        sizes = np.cumsum(self.characters[first].astype(np.int64) + self.characters[second])
        cuts = np.flatnonzero(np.diff(sizes // AT_ONCE)) + 1
        parts = [self._compare(*pair) for pair in zip(np.split(first, cuts), np.split(second, cuts))]
        return np.concatenate(parts)

    def _compare(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        indices, places = np.unique(np.concatenate([first, second]), return_inverse=True)
        first, second = np.split(places, 2)
        sets, sizes = _sets(self.fetch(indices), self.width)
        starts = np.cumsum(sizes) - sizes
        # Binary search for each shingle of the first text among those of the second.
        own = sets[ranges(starts[first], sizes[first])] & np.uint64(2**32 - 1)
        sought = own | np.repeat(second.astype(np.uint64) << np.uint64(32), sizes[first])
        places = np.searchsorted(sets, sought)
        found = np.append(sets, np.uint64(2**64 - 1))[places] == sought
        both = np.bincount(np.repeat(np.arange(len(first)), sizes[first]), found, minlength=len(first))
        either = sizes[first] + sizes[second] - both
        return np.divide(both, either, out=np.ones(len(first)), where=either > 0)


def _sets(texts: Sequence[str], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (distinct shingles of all texts as index of the text << 32 | hash, sorted; their number in each text)."""
    parts = [np.empty(0, np.uint64)]
    for owners, pieces in batches(texts):
        hashes, numbers = shingles(pieces, width)
        parts.append(np.repeat(owners.astype(np.uint64) << np.uint64(32), numbers) | hashes)
    sets = distinct(np.concatenate(parts))
    return sets, np.bincount((sets >> np.uint64(32)).astype(np.int64), minlength=len(texts))
