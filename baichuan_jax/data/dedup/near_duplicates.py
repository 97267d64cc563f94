"""Near-duplicates: texts whose signatures agree, found by banding (Leskovec et al., Mining of Massive Datasets, 3.4).

A signature is cut into bands of some rows; texts that agree in all rows of any band are compared. Pairs whose whole
signatures agree well enough are joined, and of the texts that are joined, directly or through others, one stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from baichuan_jax.core.errors import require
from baichuan_jax.data.permutation import mix

# Of 8 rows, with 112 permutations: texts of similarity s share a band with probability 1 - (1 - s^8)^14, which is
# 56 % at 0.7, 92 % at 0.8 and 99.96 % at 0.9.
BANDS = 14
WINDOW = 64  # texts of a bucket that a text is compared with
AT_ONCE = 1 << 14  # pairs compared: 900 bytes of memory each


def duplicates(signatures: np.ndarray, rank: Sequence[Any], threshold: float, bands: int = BANDS) -> np.ndarray:
    """Returns for each text the index of the one that stays in its place, int64 [texts]; its own index if it stays.

    signatures: uint32 [texts, permutations], of `minhash.signatures`.
    rank: of each text, anything that can be ordered; of texts joined the one of lowest rank stays. The answer does not
    depend on the order of the texts if all ranks differ, as with (-len(text), id).
    threshold: the share of permutations, in (0, 1], in which texts must agree to be joined. An estimate: texts of a
    similarity 0.08 below it (two standard errors) are joined once in 40 times that they are compared.
    Memory for each text, with 112 permutations: 448 bytes of the signatures given, and 580 while this runs.
    Time: some 5 s for a million texts; at worst, all texts in common buckets and none alike, 0.25 ms for each text.
    """
    texts, permutations = signatures.shape
    require(permutations % bands == 0, "bands", bands, f"a divisor of the {permutations} permutations")
    require(0 < threshold <= 1, "threshold", threshold, "a share in (0, 1]")
    order = np.array(sorted(range(texts), key=rank.__getitem__), np.int64)
    ranked = signatures[order]
    roots = np.arange(texts)
    for keys in _band_keys(ranked, bands):
        for first, second in _candidates(keys):
            apart = roots[first] != roots[second]
            first, second = first[apart], second[apart]
            alike = _agreement(ranked, first, second) >= threshold
            roots = _join(roots, first[alike], second[alike])
    stays = np.empty(texts, np.int64)
    stays[order] = order[roots]
    return stays


def _band_keys(signatures: np.ndarray, bands: int) -> Iterator[np.ndarray]:
    """Yields a hash of the rows of each band, uint64 [texts]."""
    for rows in np.split(signatures, bands, axis=1):
        keys = np.zeros(len(signatures), np.uint64)
        for row in rows.T:
            keys = mix(keys ^ row, 1)
        yield keys


def _candidates(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the pairs of texts with equal keys, int64 [pairs] and [pairs], the nearest in rank first.

    To compare all with the first of their bucket only would miss a pair that is alike when the first is like neither.
    So all pairs of a bucket are yielded, up to WINDOW apart: that bounds the cost of a bucket of thousands that are
    all a little alike. In a bucket of copies the first pairs join all, and `duplicates` need not compare the others.
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    at = np.arange(len(keys))
    for shift in range(1, WINDOW + 1):
        at = at[: np.searchsorted(at, len(keys) - shift)]
        at = at[ordered[at] == ordered[at + shift]]
        for start in range(0, len(at), AT_ONCE):
            part = at[start : start + AT_ONCE]
            yield order[part], order[part + shift]


def _agreement(signatures: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the share of equal numbers in each pair of signatures, float64 [pairs]."""
    return np.mean(signatures[first] == signatures[second], axis=1)


def _join(roots: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the roots after joining the pairs; a root is the lowest text of those joined, and its own root.

    Each step hangs the higher of two roots under the lowest that it is paired with; it ends since roots only sink.
    """
    while (apart := roots[first] != roots[second]).any():
        first, second = first[apart], second[apart]
        low, high = np.minimum(roots[first], roots[second]), np.maximum(roots[first], roots[second])
        roots = roots.copy()
        np.minimum.at(roots, high, low)
        while (above := roots[roots] != roots).any():
            roots[above] = roots[roots[above]]
    return roots
