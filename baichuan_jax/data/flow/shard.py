"""A shard: the documents of one task of `read` that passed the rules, in columns on disk.

`texts.bin` and `sources.bin` hold concatenated bytes, `texts.npy` and `sources.npy` the offset of each document, and
`rows.npy` its metadata (ROW). The texts are never in memory as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from baichuan_jax.data.dedup.runs import run_starts
from baichuan_jax.data.language import LANGUAGES, Language

# key: hash of the text without white space, before any sentence was removed. crc: of the text. size: UTF-8 bytes.
# language: index in LANGUAGES.
ROW = np.dtype([("key", "<u8"), ("crc", "<u4"), ("size", "<u4"), ("characters", "<u4"), ("language", "u1")])
TEXTS, SOURCES, ROWS = "texts", "sources", "rows.npy"
BUFFER = 1 << 18  # bytes of a write
BLOCK = 1 << 16  # bytes of a read, more if the last text is longer: a system call costs as much as reading so many


class ShardWriter:
    """Writer of a shard, as a context; the shard is complete once the block has ended without an exception."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._texts, self._sources = (_BlobWriter(directory / name) for name in (TEXTS, SOURCES))
        self._rows: list[tuple[int, int, int, int, int]] = []

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self._texts.close()
        self._sources.close()
        np.save(self._directory / ROWS, np.array(self._rows, ROW))

    def write(self, key: int, crc: int, text: bytes, characters: int, language: Language, source: str) -> None:
        """Add a document; `text` is UTF-8."""
        self._rows.append((key, crc, len(text), characters, LANGUAGES.index(language)))
        self._texts.write(text)
        self._sources.write(source.encode(errors="replace"))


class Shard:
    """Reader of a shard. rows: ROW [documents]."""

    def __init__(self, directory: Path):
        self.rows: np.ndarray = np.load(directory / ROWS)
        self._texts, self._sources = (_Blobs(directory / name) for name in (TEXTS, SOURCES))

    def texts(self, rows: np.ndarray) -> list[str]:
        """Return the texts of documents; fastest if `rows` ascend."""
        return [text.decode() for text in self._texts.read(rows)]

    def sources(self, rows: np.ndarray) -> list[str]:
        """Return the sources of documents ("reviews.jsonl:17")."""
        return [source.decode() for source in self._sources.read(rows)]

    def languages(self, rows: np.ndarray) -> list[Language]:
        """Return the languages of documents."""
        return [LANGUAGES[number] for number in self.rows["language"][rows]]

    def batches(self, rows: np.ndarray, characters: int, most: int) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Yield (rows, their texts), in order: up to `most` documents; a batch ends once it has `characters`."""
        first, size = 0, 0
        for last, length in enumerate(self.rows["characters"][rows].tolist(), 1):
            size += length
            if size >= characters or last - first == most or last == len(rows):
                yield rows[first:last], self.texts(rows[first:last])
                first, size = last, 0


class Shards:
    """All shards as one array of documents.

    groups: the number of the domain of each shard. rows: ROW [documents]. starts: int64 [shards + 1], where each shard
    begins. domain: int64 [documents], the number of each document's domain. Memory: 30 bytes a document.
    """

    def __init__(self, directories: Sequence[Path], groups: Sequence[int]):
        self.parts = [Shard(directory) for directory in directories]
        self.starts = np.cumsum([0, *(len(shard.rows) for shard in self.parts)])
        self.rows: np.ndarray = np.concatenate([np.empty(0, ROW), *(shard.rows for shard in self.parts)])
        self.domain = np.repeat(np.array(groups, np.int64), np.diff(self.starts))

    def __len__(self) -> int:
        return len(self.rows)

    def texts(self, numbers: np.ndarray) -> list[str]:
        """Return the texts of documents, given by ascending numbers."""
        return [text for shard, rows in self._at(numbers) for text in shard.texts(rows)]

    def sources(self, numbers: np.ndarray) -> list[str]:
        """Return the sources of documents, given by ascending numbers."""
        return [source for shard, rows in self._at(numbers) for source in shard.sources(rows)]

    def _at(self, numbers: np.ndarray) -> Iterator[tuple[Shard, np.ndarray]]:
        """Yield (shard, rows) of documents."""
        bounds = np.searchsorted(numbers, self.starts)
        for shard, start, first, last in zip(self.parts, self.starts, bounds, bounds[1:]):
            if first < last:
                yield shard, numbers[first:last] - start


class _BlobWriter:
    """Writer of byte strings to PATH.bin; `close` saves their offsets, uint64 [strings + 1], as PATH.npy."""

    def __init__(self, path: Path):
        self._path = path
        self._file = path.with_suffix(".bin").open("wb", BUFFER)
        self._ends = [0]

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))

    def close(self) -> None:
        self._file.close()
        np.save(self._path.with_suffix(".npy"), np.array(self._ends, np.uint64))


class _Blobs:
    """Reader of what `_BlobWriter` wrote."""

    def __init__(self, path: Path):
        self._ends = np.load(path.with_suffix(".npy"), mmap_mode="r")
        self._path = path.with_suffix(".bin")

    def read(self, indices: np.ndarray) -> list[bytes]:
        """Return byte strings; successive ones that begin in the same block are read at once."""
        starts, stops = self._ends[indices].astype(np.int64), self._ends[indices + 1].astype(np.int64)
        blocks = run_starts(starts // BLOCK).tolist()
        found = []
        for first, last in pairwise([*blocks, len(indices)] if blocks else []):
            offset, end = int(starts[first:last].min()), int(stops[first:last].max())
            data = os.pread(self._file.fileno(), end - offset, offset)
            bounds = zip((starts[first:last] - offset).tolist(), (stops[first:last] - offset).tolist())
            found += [data[start:end] for start, end in bounds]
        return found

    @cached_property
    def _file(self) -> IO[bytes]:
        """Return the file, for `pread`: the pages of a mapped file would count as memory of the process."""
        return self._path.open("rb")
