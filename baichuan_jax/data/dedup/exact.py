"""Duplicates of whole documents: of equal texts the first stays, of near-duplicates the longest."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from baichuan_jax.data.dedup.minhash import PERMUTATIONS, signatures
from baichuan_jax.data.dedup.near_duplicates import duplicates

BATCH = 512  # documents whose signatures are computed at once


def text_hash(text: str) -> int:
    """Returns 64 bits of a normalised text, its white space left out: a copy that wraps elsewhere is a copy."""
    return int.from_bytes(blake2b("".join(text.split()).encode(), digest_size=8).digest(), "big")


class Seen:
    """The hashes met so far; some 70 bytes each."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()

    def add(self, key: int) -> bool:
        """Returns True if `key` is new."""
        before = len(self._hashes)
        self._hashes.add(key)
        return len(self._hashes) > before


class NearDuplicates:
    """Collects texts, then tells which are near-duplicates of longer ones.

    threshold: the Jaccard similarity of their shingles, estimated, from which two texts are near-duplicates; 0 finds
    none. Memory: some 450 bytes a text, and 1 kB in `find`.
    """

    def __init__(self, threshold: float):
        self._threshold = threshold
        self._texts: list[str] = []
        self._rank: list[tuple[int, int]] = []
        self._signatures = [np.empty((0, PERMUTATIONS), np.uint32)]

    def add(self, key: int, text: str) -> None:
        """Takes a text and its hash, which no other text may have."""
        if self._threshold:
            self._rank.append((-len(text), key))
            self._texts.append(text)
            if len(self._texts) == BATCH:
                self._sign()

    def find(self) -> set[int]:
        """Returns the hashes of the texts that a near-duplicate stands for."""
        if not self._rank:
            return set()
        self._sign()
        stays = duplicates(np.concatenate(self._signatures), self._rank, self._threshold)
        return {key for index, (_, key) in enumerate(self._rank) if stays[index] != index}

    def _sign(self) -> None:
        self._signatures.append(signatures(self._texts))
        self._texts = []
