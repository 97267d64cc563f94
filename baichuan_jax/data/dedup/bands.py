"""Locality-sensitive hashing: bands of signatures and their buckets (Leskovec et al., Mining of Massive Datasets, 3.4).

A signature has B bands of R rows each. Texts of similarity s agree in all rows of at least one band with probability
1 - (1 - s^R)^B; texts that agree in a band form a bucket. Only texts that share a bucket are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from baichuan_jax.data.dedup.runs import distinct, run_starts
from baichuan_jax.data.permutation import mix

ROWS = 1 << 15  # signatures whose bands are hashed at once: up to 1.5 kB of memory each
ENTRY_BYTES = 48  # memory for each entry of the file being processed, with all temporary arrays


Signed = Iterable[tuple[np.ndarray, np.ndarray]]


def in_parts(signatures: np.ndarray, rank: np.ndarray) -> Signed:
    """Yield (rank, signatures), ROWS texts at a time."""
    for start in range(0, len(signatures), ROWS):
        yield rank[start : start + ROWS], signatures[start : start + ROWS]


def bucket_files(signed: Signed, texts: int, bands: int, memory: int, scratch: Path, low: int) -> list[Path]:
    """Write the buckets with at least two texts into files; return their paths.

    A file is a sorted array of entries, uint64. The low `rank_bits` of an entry are the rank of a text, the high bits a
    hash of one of its bands: one sort brings the texts of a bucket together, the best first. No bucket is split over
    two files. With 10^8 texts 37 bits are left for the hash: one bucket in a thousand contains a text by chance, which
    the comparison of the texts rules out.

    signed: parts of (rank int64 [n], signatures uint32 [n, permutations]); ranks are distinct. texts: number in all.
    memory: bytes; the entries are divided by their high bits into as many files as needed to sort one within it (unless
    a single bucket is larger). low: bits that hold the rank.
    """
    needed = texts * bands * ENTRY_BYTES
    bits = max(0, (-(-needed // memory) - 1).bit_length())
    # Powers of two, so that the low bits of an edge are zero and no bucket crosses one.
    edges = np.array([part << (64 - bits) for part in range(1, 1 << bits)], np.uint64)
    paths = [scratch / f"{part:05}.keys" for part in range(1 << bits)]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for entries in _entries(signed, bands, low):
            if bits:
                entries.sort()
            for file, part in zip(files, np.split(entries, np.searchsorted(entries, edges))):
                part.tofile(file)
    for path in paths:
        # Distinct: if two bands of a text have equal hashes, the text is in that bucket once.
        shared(distinct(np.fromfile(path, np.uint64)), low).tofile(path)
    return paths


def shared(entries: np.ndarray, bits: int, most: int | None = None) -> np.ndarray:
    """Return those of sorted entries whose buckets have at least two members, and at most `most`."""
    _, sizes = buckets(entries, bits)
    wanted = sizes >= 2 if most is None else (sizes >= 2) & (sizes <= most)
    return entries[np.repeat(wanted, sizes)]


def buckets(entries: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each bucket of sorted entries starts and how many members it has, int64 [buckets] each."""
    starts = run_starts(entries >> np.uint64(bits))
    return starts, np.diff(starts, append=len(entries))


def rank_bits(texts: int) -> int:
    """Return how many bits of an entry hold the rank."""
    return max(1, (texts - 1).bit_length())


def _entries(signed: Signed, bands: int, low: int) -> Iterator[np.ndarray]:
    """Yield the entries of each part. The hash of a band is linear in its rows, with random odd factors, then mixed."""
    mask = np.uint64((1 << low) - 1)
    for rank, part in signed:
        rows = part.reshape(len(part), bands, part.shape[1] // bands)
        keys = np.zeros(rows.shape[:2], np.uint64)
        for row, factor in enumerate(mix(np.arange(rows.shape[2], dtype=np.uint64), 0) | np.uint64(1)):
            keys += rows[:, :, row] * factor
        keys = mix(keys ^ mix(np.arange(bands, dtype=np.uint64), 1), 2)
        yield (keys & ~mask | rank[:, None].astype(np.uint64)).ravel()
