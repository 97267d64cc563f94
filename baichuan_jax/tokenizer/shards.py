"""Token shards: documents as `ids </s>` or `<s> ids </s>`, concatenated, in the smallest integer type that fits.

For every domain and split, a directory holds `DOMAIN/SPLIT-00000.bin` (raw little-endian ids) and the same name with
`.idx` (uint64 offset of each document and of the end). `index.json` lists them with their counts, their checksums and
their largest id (older code wrote neither), and the number of ids before and after the text of each document (one and
one if absent).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from baichuan_jax.core.checksums import file_hash
from baichuan_jax.core.errors import DAMAGED, UserError
from baichuan_jax.core.files import atomic_path, read_json, write_json

SUFFIXES = (".bin", ".idx")


def token_dtype(vocab: int) -> np.dtype:
    """Return the smallest unsigned type that holds ids below `vocab`."""
    return np.dtype("<u2") if vocab <= 2**16 else np.dtype("<u4")


def shard_path(directory: Path, domain: str, split: str, number: int) -> Path:
    """Return the file of the ids of a shard; its offsets are in the same name with the suffix .idx."""
    return directory / domain / f"{split}-{number:05}.bin"


def write_shard(path: Path, documents: list[np.ndarray], dtype: np.dtype) -> None:
    """Write the ids of documents, then their offsets; each file atomically."""
    ids = np.concatenate(documents or [np.empty(0, dtype)])
    for file, array in ((path, ids), (path.with_suffix(".idx"), np.cumsum([0, *map(len, documents)], dtype="<u8"))):
        with atomic_path(file) as partial:
            array.tofile(partial)


def describe_shard(path: Path, dtype: np.dtype) -> dict:
    """Return the index entry of a shard that has been written."""
    offsets = np.fromfile(path.with_suffix(".idx"), "<u8")
    return {
        "file": f"{path.parent.name}/{path.name}",
        "documents": len(offsets) - 1,
        "tokens": int(offsets[-1]),
        "largest_id": _largest(path, dtype),
        "checksums": {suffix: file_hash(path.with_suffix(suffix)) for suffix in SUFFIXES},
    }


def _largest(path: Path, dtype: np.dtype) -> int:
    """Return the largest id of a shard, -1 without one."""
    return int(np.memmap(path, dtype, "r").max()) if path.stat().st_size else -1


def write_index(
    directory: Path, vocab: int, shards: dict[str, dict[str, list[dict]]], before: int = 0, after: int = 1
) -> None:
    """Write `index.json`. shards: {domain: {split: [entry]}}. before, after: ids around the text of a document."""
    index = {"vocab": vocab, "dtype": token_dtype(vocab).str, "before": before, "after": after, "shards": shards}
    write_json(directory / "index.json", index)


class DocumentPart(NamedTuple):
    """The ids `first` to `end` - 1 of a document, of `length` with those around its text. number: in its split."""

    number: int
    first: int
    end: int
    length: int


class Piece(NamedTuple):
    """The ids `first` to `end` - 1 of a shard, which a sequence is made of."""

    shard: int
    first: int
    end: int


class TokenStore:
    """Reader of token shards through memory maps; opening is O(number of shards)."""

    def __init__(self, directory: Path):
        path = directory / "index.json"
        if not path.exists():
            raise UserError(f"no token shards at {directory}; create them first: baichuan-jax tokenizer CONFIG")
        index = read_json(path)
        self.vocab: int = index["vocab"]
        self._before, self._after = index.get("before", 1), index.get("after", 1)
        self._directory, self._dtype, self._shards = directory, np.dtype(index["dtype"]), index["shards"]

    @property
    def domains(self) -> tuple[str, ...]:
        """Return the domain names in the order written, which is sorted."""
        return tuple(self._shards)

    def tokens(self, domain: str, split: str) -> int:
        """Return the number of tokens, including those around documents."""
        return sum(shard["tokens"] for shard in self._shards[domain][split])

    def arrays(self, domain: str, split: str) -> list[np.ndarray]:
        """Return the ids of each shard, mapped into memory. Raise UserError if a file is missing or cut short."""
        return [self._open(shard) for shard in self._shards[domain][split]]

    def _open(self, shard: dict) -> np.ndarray:
        path, expected = self._directory / shard["file"], shard["tokens"] * self._dtype.itemsize
        size = path.stat().st_size if path.exists() else None
        if size != expected:
            raise UserError(f"{path}: expected {expected} bytes, found {size}; {self._again}", DAMAGED)
        # A plain view: slices of np.memmap itself take several times as long.
        return np.asarray(np.memmap(path, self._dtype, "r")) if expected else np.empty(0, self._dtype)

    def shards(self) -> list[dict]:
        """Return the index entries of all shards."""
        return [shard for splits in self._shards.values() for shards in splits.values() for shard in shards]

    def files(self, shard: dict) -> list[Path]:
        """Return the files of a shard."""
        return [(self._directory / shard["file"]).with_suffix(suffix) for suffix in SUFFIXES]

    def check(self, shard: dict, vocab: int) -> None:
        """Raise UserError if a shard is not what was written, or has an id that is not below `vocab`."""
        ids, _ = self.files(shard)
        self._open(shard)
        for path, expected in zip(self.files(shard), shard.get("checksums", {}).values()):
            if file_hash(path) != expected:
                raise UserError(f"{path} does not match its checksum in index.json; {self._again}")
        largest = shard["largest_id"] if "largest_id" in shard else _largest(ids, self._dtype)
        if largest >= vocab:
            raise UserError(f"{ids} has the id {largest}, and DecoderConfig.vocab = {vocab}; {self._again}")

    @property
    def _again(self) -> str:
        return f"delete {self._directory} and run the stage again"

    def offsets(self, domain: str, split: str) -> list[np.ndarray]:
        """Return, for each shard, the offset of every document in its ids and of the end, int64."""
        files = [(self._directory / shard["file"]).with_suffix(".idx") for shard in self._shards[domain][split]]
        return [np.fromfile(file, "<u8").astype(np.int64) for file in files]

    def parts(self, domain: str, split: str, shard: int, first: int, end: int) -> list[DocumentPart]:
        """Return which documents the ids `first` to `end` - 1 of a shard belong to."""
        offsets = self.offsets(domain, split)
        before = sum(len(each) - 1 for each in offsets[:shard])
        bounds, found = offsets[shard], []
        for number in range(int(np.searchsorted(bounds, first, side="right")) - 1, len(bounds) - 1):
            start, stop = int(bounds[number]), int(bounds[number + 1])
            if start >= end:
                break
            inside = slice(max(first, start) - start, min(end, stop) - start)
            if inside.start < inside.stop:
                found.append(DocumentPart(before + number, inside.start, inside.stop, stop - start))
        return found

    def documents(self, domain: str, split: str) -> Iterable[np.ndarray]:
        """Yield the ids of the text of each document."""
        for offsets, ids in zip(self.offsets(domain, split), self.arrays(domain, split)):
            for start, end in pairwise(offsets):
                yield ids[start + self._before : end - self._after]


class Windows:
    """Windows of `length` + 1 ids over the shards of one domain and split.

    Neighbouring windows share one id, so that every id of a shard except its first is predicted exactly once. A
    remainder shorter than a window is dropped.
    """

    def __init__(self, store: TokenStore, domain: str, split: str, length: int):
        self._arrays, self._length = store.arrays(domain, split), length
        counts = [max(0, len(ids) - 1) // length for ids in self._arrays]
        self._first = np.cumsum([0, *counts])

    def __len__(self) -> int:
        return int(self._first[-1])

    def __getitem__(self, index: int) -> np.ndarray:
        """Return window `index` as int32 [length + 1]."""
        [piece] = self.pieces(index)
        return self._arrays[piece.shard][piece.first : piece.end].astype(np.int32)

    def pieces(self, index: int) -> list[Piece]:
        """Return the ids that window `index` is made of, which are in one piece."""
        shard = int(np.searchsorted(self._first, index, side="right")) - 1
        start = (index - int(self._first[shard])) * self._length
        return [Piece(shard, start, start + self._length + 1)]
