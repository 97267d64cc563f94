"""The Jaccard similarity of texts, exactly: the share of the shingles of either that both have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.dedup.runs import distinct, ranges
from baichuan_jax.data.dedup.shingles import TOKENS, batches, shingles

AT_ONCE = 1 << 20  # characters of pairs compared at once, unless one pair has more: up to 60 bytes of memory each


def jaccard(first: Sequence[str], second: Sequence[str], width: int = TOKENS) -> np.ndarray:
    """Return how alike the first and the second text of each pair are, float64 [pairs].

    width: tokens in a shingle. Two texts without letters and digits are alike (1.0). Shingles are compared by 32-bit
    hashes, and long texts are cut as in `signatures.signatures`.
    """
    pairs = np.arange(len(first))
    return _similarity([*first, *second], pairs, pairs + len(first), width)


@dataclass(frozen=True)
class ExactJaccard:
    """Compares texts by their indices, as `near_duplicates.find_duplicates` asks for.

    fetch: takes indices, int64 [texts], and return the texts.
    characters: int [texts], the length of each text, or a bound on it; so many texts are held in memory at once.
    width: tokens in a shingle.
    """

    fetch: Callable[[np.ndarray], list[str]]
    characters: np.ndarray
    width: int = TOKENS

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return how alike the texts of each pair are, float64 [pairs]."""
        sizes = np.cumsum(self.characters[first].astype(np.int64) + self.characters[second])
        cuts = np.flatnonzero(np.diff(sizes // AT_ONCE)) + 1
        parts = [self._compare(*pair) for pair in zip(np.split(first, cuts), np.split(second, cuts))]
        return np.concatenate(parts)

    def _compare(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        indices, places = np.unique(np.concatenate([first, second]), return_inverse=True)
        return _similarity(self.fetch(indices), *np.split(places, 2), self.width)


def _similarity(texts: Sequence[str], first: np.ndarray, second: np.ndarray, width: int) -> np.ndarray:
    """Return how alike pairs of texts, given by indices int64 [pairs] each, are, float64 [pairs]."""
    sets, sizes = _sets(texts, width)
    starts = np.cumsum(sizes) - sizes
    # A shingle of the first is looked for where it would stand among those of the second.
    own = sets[ranges(starts[first], sizes[first])] & np.uint64(2**32 - 1)
    sought = own | np.repeat(second.astype(np.uint64) << np.uint64(32), sizes[first])
    places = np.searchsorted(sets, sought)
    found = np.append(sets, np.uint64(2**64 - 1))[places] == sought
    both = np.bincount(np.repeat(np.arange(len(first)), sizes[first]), found, minlength=len(first))
    either = sizes[first] + sizes[second] - both
    return np.divide(both, either, out=np.ones(len(first)), where=either > 0)


def _sets(texts: Sequence[str], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the different shingles of all texts, index of the text << 32 | hash, sorted, and how many each has."""
    parts = [np.empty(0, np.uint64)]
    for owners, pieces in batches(texts):
        hashes, numbers = shingles(pieces, width)
        parts.append(np.repeat(owners.astype(np.uint64) << np.uint64(32), numbers) | hashes)
    sets = distinct(np.concatenate(parts))
    return sets, np.bincount((sets >> np.uint64(32)).astype(np.int64), minlength=len(texts))
