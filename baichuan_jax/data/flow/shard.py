"""A shard: the documents that one task has read and the rules have kept, in columns on disk.

`texts.bin` and `sources.bin` hold the bytes one after the other, `texts.npy` and `sources.npy` where each begins,
`rows.npy` what is known of each document. No shard is ever held in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from baichuan_jax.data.language import LANGUAGES, Language

# key: hash of the text without white space, before any sentence was taken out. crc: of the text as it is. size: UTF-8
# bytes. language: index in LANGUAGES.
ROW = np.dtype([("key", "<u8"), ("crc", "<u4"), ("size", "<u4"), ("characters", "<u4"), ("language", "u1")])
TEXTS, SOURCES, ROWS = "texts", "sources", "rows.npy"


class ShardWriter:
    """Writes a shard; it is whole once the block has ended without an exception."""

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
        """Adds a document; `text` is UTF-8."""
        self._rows.append((key, crc, len(text), characters, LANGUAGES.index(language)))
        self._texts.write(text)
        self._sources.write(source.encode(errors="replace"))


class Shard:
    """Reads a shard. rows: ROW [documents]."""

    def __init__(self, directory: Path):
        self.rows: np.ndarray = np.load(directory / ROWS)
        self._texts, self._sources = (_Blobs(directory / name) for name in (TEXTS, SOURCES))

    def text(self, row: int) -> str:
        """Returns the text of a document."""
        return self._texts[row].decode()

    def source(self, row: int) -> str:
        """Returns where a document stood."""
        return self._sources[row].decode()

    def languages(self, rows: np.ndarray) -> list[Language]:
        """Returns the languages of documents."""
        return [LANGUAGES[number] for number in self.rows["language"][rows]]

    def batches(self, rows: np.ndarray, characters: int, most: int) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Yields (rows, their texts), in order: up to `most` documents, ended by the one that reaches `characters`."""
        first, size = 0, 0
        for last, row in enumerate(rows, 1):
            size += self.rows["characters"][row]
            if size >= characters or last - first == most or last == len(rows):
                yield rows[first:last], [self.text(row) for row in rows[first:last]]
                first, size = last, 0


class Shards:
    """All shards as one array of documents.

    rows: ROW [documents]. starts: int64 [shards + 1], where each shard begins. domain: int64 [documents], the number of
    the document's domain, from `groups`, that of each shard. In memory: 30 bytes a document.
    """

    def __init__(self, directories: Sequence[Path], groups: Sequence[int]):
        self.parts = [Shard(directory) for directory in directories]
        self.starts = np.cumsum([0, *(len(shard.rows) for shard in self.parts)])
        self.rows: np.ndarray = np.concatenate([np.empty(0, ROW), *(shard.rows for shard in self.parts)])
        self.domain = np.repeat(np.array(groups, np.int64), np.diff(self.starts))

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, number: int) -> str:
        """Returns the text of a document."""
        shard, row = self._at(number)
        return shard.text(row)

    def source(self, number: int) -> str:
        """Returns where a document stood."""
        shard, row = self._at(number)
        return shard.source(row)

    def _at(self, number: int) -> tuple[Shard, int]:
        part = int(np.searchsorted(self.starts, number, side="right")) - 1
        return self.parts[part], number - int(self.starts[part])


class _BlobWriter:
    """Appends byte strings to PATH.bin and, at the end, saves where each begins as PATH.npy."""

    def __init__(self, path: Path):
        self._path = path
        self._file = path.with_suffix(".bin").open("wb")
        self._ends = [0]

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))

    def close(self) -> None:
        self._file.close()
        np.save(self._path.with_suffix(".npy"), np.array(self._ends, np.uint64))


class _Blobs:
    """Reads what `_BlobWriter` wrote."""

    def __init__(self, path: Path):
        self._ends = np.load(path.with_suffix(".npy"), mmap_mode="r")
        self._path = path.with_suffix(".bin")

    def __getitem__(self, index: int) -> bytes:
        start, end = int(self._ends[index]), int(self._ends[index + 1])
        return os.pread(self._file.fileno(), end - start, start)

    @cached_property
    def _file(self) -> IO[bytes]:
        """Read by `pread`: a mapped file would count as memory of the process as it is read."""
        return self._path.open("rb")
