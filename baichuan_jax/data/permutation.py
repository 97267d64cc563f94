"""Pseudo-random permutations of [0, size) that are pure functions: no state, no table in memory."""

from __future__ import annotations

import numpy as np

ROUNDS = 3


def mix(values: np.ndarray, salt: int | np.ndarray) -> np.ndarray:
    """Return hashes of uint64 values, uint64 (the finaliser of splitmix64). salt: one, or one for each value."""
    x = values + np.uint64(salt)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def permute(positions: np.ndarray, keys: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the image of each position (int, in [0, size)) under the permutation of its key (uint64) and size (int).

    The steps are bijections of k-bit integers, 2^k the next power of two; they are applied again while a
    result is outside [0, size) ("cycle walking"), fewer than twice on average.
    """
    bits = np.maximum(1, np.frexp(sizes - 1.0)[1]).astype(np.uint64)
    masks, halves, sizes = (
        (np.uint64(1) << bits) - np.uint64(1),
        (bits + np.uint64(1)) // np.uint64(2),
        sizes.astype(np.uint64),
    )
    x, keys = positions.astype(np.uint64), keys.astype(np.uint64)
    x = _scramble(x, keys, masks, halves)
    while (outside := np.flatnonzero(x >= sizes)).size:
        x[outside] = _scramble(x[outside], keys[outside], masks[outside], halves[outside])
    return x.astype(np.int64)


def _scramble(x: np.ndarray, keys: np.ndarray, masks: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """Apply a round of add, multiply by an odd number, xor with the upper half: each invertible modulo 2^bits."""
    for salt in range(ROUNDS):
        key = mix(keys, salt)
        x = (x + (key >> np.uint64(32))) * (key | np.uint64(1)) & masks
        x = x ^ (x >> halves)
    return x
