"""Whole documents packed into sequences of one length, with the number of its document beside every token.

Best-fit decreasing, as Ding et al. pack (arXiv 2404.10830): the longest first, each into the fullest sequence that has
room. A document that is longer than a sequence is cut; its pieces count as documents.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np

from baichuan_jax.tokenizer.shards import Piece, TokenStore


class PackedRow(NamedTuple):
    """A sequence, arrays [length]: int32, but for weights, which are float32.

    weights: 1 where the target belongs to the document of its token, 0 in the padding. segments: number of the
    document, from 1; 0 in the padding. positions: of each token in its document.
    """

    tokens: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    segments: np.ndarray
    positions: np.ndarray


class PackedDocuments:
    """The documents of a domain and split, packed: `packed[row]` is a `PackedRow`.

    Every id but the first of a document is predicted exactly once. 28 bytes of memory are needed per document.
    """

    def __init__(self, store: TokenStore, domain: str, split: str, length: int):
        self._arrays, self._length = store.arrays(domain, split), length
        pieces = [_pieces(offsets, length) for offsets in store.offsets(domain, split)]
        shards = np.repeat(np.arange(len(pieces), dtype=np.int32), [len(starts) for starts, _ in pieces])
        starts = np.concatenate([np.empty(0, np.int64), *(starts for starts, _ in pieces)])
        sizes = np.concatenate([np.empty(0, np.int64), *(sizes for _, sizes in pieces)])
        self.tokens = int(sizes.sum())
        rows = pack(sizes, length)
        order = np.argsort(rows, kind="stable")
        self._shards, self._starts, self._sizes = shards[order], starts[order], sizes[order]
        self._first = np.searchsorted(rows[order], np.arange(rows.max(initial=-1) + 2))

    def __len__(self) -> int:
        return len(self._first) - 1

    def pieces(self, row: int) -> list[Piece]:
        """Return the ids that a row is made of; the last of each is only a target."""
        places = slice(self._first[row], self._first[row + 1])
        stops = self._starts[places] + self._sizes[places] + 1
        return [Piece(*map(int, place)) for place in zip(self._shards[places], self._starts[places], stops)]

    def __getitem__(self, row: int) -> PackedRow:
        pieces = slice(self._first[row], self._first[row + 1])
        sizes = self._sizes[pieces]
        starts = np.cumsum(sizes) - sizes
        tokens, targets, segments, positions = np.zeros((4, self._length), np.int32)
        for shard, start, at, size in zip(self._shards[pieces], self._starts[pieces], starts, sizes):
            ids = self._arrays[shard][start : start + size + 1]
            tokens[at : at + size], targets[at : at + size] = ids[:-1], ids[1:]
        used = sizes.sum()
        segments[:used] = np.repeat(np.arange(1, len(sizes) + 1), sizes)
        positions[:used] = np.arange(used) - np.repeat(starts, sizes)
        return PackedRow(tokens, targets, (segments > 0).astype(np.float32), segments, positions)


def _pieces(offsets: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (first id, number of predicted ids) of the pieces of a shard's documents; neighbours share an id."""
    predicted = np.maximum(np.diff(offsets) - 1, 0)
    counts = -(-predicted // length)
    of_document = np.repeat(np.arange(len(predicted)), counts)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    sizes = np.minimum(predicted[of_document] - number * length, length)
    return offsets[of_document] + number * length, sizes


def pack(sizes: np.ndarray, capacity: int) -> np.ndarray:
    """Return the row of each piece, int64: best-fit decreasing. sizes: 1 to `capacity`."""
    rows = np.empty(len(sizes), np.int64)
    by_size = np.argsort(-sizes, kind="stable")
    last_of_size = np.cumsum(np.bincount(sizes, minlength=capacity + 1)[::-1])  # in `by_size`, of size `capacity` first
    open_rows: dict[int, list[int]] = {}  # room left -> rows
    rooms: list[int] = []  # keys of open_rows, sorted
    count = 0

    def put_back(room: int, row: int) -> None:
        if room not in open_rows:
            open_rows[room] = []
            insort(rooms, room)
        open_rows[room].append(row)

    for size in range(capacity, 0, -1):
        done, end = int(last_of_size[capacity - size - 1]) if size < capacity else 0, int(last_of_size[capacity - size])
        while done < end:
            at = bisect_left(rooms, size)
            if at == len(rooms):
                room, row, count = capacity, count, count + 1
            else:
                room = rooms[at]
                row = open_rows[room].pop()
                if not open_rows[room]:
                    del open_rows[room], rooms[at]
            fits = min(room // size, end - done)
            rows[by_size[done : done + fits]] = row
            done += fits
            if room > fits * size:
                put_back(room - fits * size, row)
    return rows
