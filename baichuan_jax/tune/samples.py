"""Samples of training in memory or on disk: all ids and masks one after the other, and where each sample begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from baichuan_jax.chat.encode import Sample
from baichuan_jax.core.files import atomic_path, read_json, write_json

INDEX = "samples.json"  # written last


@dataclass(frozen=True)
class Samples:
    """S samples of N ids in all: `samples[number]` is a `Sample`.

    names: of the sources. ids: int32 [N]. mask: bool [N], true in the loss. starts: int64 [S + 1]. sources:
    int32 [S], which `names` count from 0. held_out: bool [S]. places: int64 [S + 1], where in `place_bytes` begins the
    file and line of each. place_bytes: UTF-8.
    """

    names: tuple[str, ...]
    ids: np.ndarray
    mask: np.ndarray
    starts: np.ndarray
    sources: np.ndarray
    held_out: np.ndarray
    places: np.ndarray
    place_bytes: np.ndarray

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, number: int) -> Sample:
        part = slice(self.starts[number], self.starts[number + 1])
        return Sample(self.ids[part], self.mask[part])

    def place(self, number: int) -> str:
        """Return the file and line of a sample."""
        return bytes(self.place_bytes[self.places[number] : self.places[number + 1]]).decode()

    @property
    def lengths(self) -> np.ndarray:
        """Return the number of ids of each sample, int64 [S]."""
        return np.diff(self.starts)

    def responses(self) -> np.ndarray:
        """Return the number of ids in the loss of each sample, int64 [S]."""
        return np.add.reduceat(self.mask, self.starts[:-1], dtype=np.int64) if len(self) else self.starts[:0]

    def save(self, directory: Path) -> None:
        """Write all to a directory, each file whole or not at all."""
        for name in _arrays():
            with atomic_path(_file(directory, name)) as partial, partial.open("wb") as file:
                np.save(file, getattr(self, name))
        write_json(directory / INDEX, {"names": self.names})


def samples_in(directory: Path) -> Samples | None:
    """Return the samples that a directory has, read when they are needed; None if they are not all there."""
    if not (directory / INDEX).exists():
        return None
    arrays = {name: np.load(_file(directory, name), mmap_mode="r") for name in _arrays()}
    return Samples(tuple(read_json(directory / INDEX)["names"]), **arrays)


def _arrays() -> Iterator[str]:
    return (each.name for each in fields(Samples) if each.name != "names")


def _file(directory: Path, name: str) -> Path:
    return directory / f"{name}.npy"


class SampleWriter:
    """Collects samples. names: of the sources."""

    def __init__(self, names: Sequence[str]):
        self._names = tuple(names)
        self._ids: list[np.ndarray] = []
        self._mask: list[np.ndarray] = []
        self._sources: list[int] = []
        self._held_out: list[bool] = []
        self._places: list[bytes] = []

    def add(self, sample: Sample, source: int, held_out: bool, place: str) -> None:
        """Add a sample. source: its number among the names. place: file and line."""
        self._ids.append(sample.ids_T)
        self._mask.append(sample.mask_T)
        self._sources.append(source)
        self._held_out.append(held_out)
        self._places.append(place.encode())

    def finish(self) -> Samples:
        """Return all of them."""
        return Samples(
            self._names,
            np.concatenate([np.empty(0, np.int32), *self._ids]),
            np.concatenate([np.empty(0, bool), *self._mask]),
            _starts(self._ids),
            np.array(self._sources, np.int32),
            np.array(self._held_out, bool),
            _starts(self._places),
            np.frombuffer(b"".join(self._places), np.uint8),
        )


def _starts(parts: Sequence[np.ndarray] | Sequence[bytes]) -> np.ndarray:
    return np.cumsum([0, *map(len, parts)], dtype=np.int64)
