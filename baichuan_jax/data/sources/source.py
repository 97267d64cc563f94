"""Source specifications: which files one reads, how they are shared out among tasks, and the documents in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.document import Damaged, Document
from baichuan_jax.data.sources.demo import demo_files, read_demo_files
from baichuan_jax.data.sources.files import find_files, read_file
from baichuan_jax.data.sources.storage import File, file_size
from baichuan_jax.data.sources.tfds_source import read_tfds, tfds_files

Kind = Literal["path", "demo", "tfds"]


@dataclass(frozen=True)
class Unit:
    """What one task reads. name: of the demo corpus or dataset, "" of files."""

    kind: Kind
    name: str
    files: tuple[File, ...]


def source_files(spec: str) -> tuple[File, ...]:
    """Returns every file that a specification reads, for fingerprints. Raises UserError if there is none."""
    kind, rest = _kind(spec)
    if kind == "demo":
        return demo_files(rest)
    if kind == "tfds":
        return tfds_files(rest)
    patterns = [pattern.strip() for pattern in spec.split(";") if pattern.strip()]
    return tuple(dict.fromkeys(file for pattern in patterns for file in find_files(pattern)))


def source_units(spec: str, cfg: DataConfig) -> list[Unit]:
    """Returns the units of a specification, in order: files up to DataConfig.task_bytes together.

    There is one only where reading has to go on from file to file: of a tensorflow-datasets dataset, and with
    DataConfig.max_bytes.
    """
    kind, rest = _kind(spec)
    files = source_files(spec)
    if kind == "tfds" or cfg.max_bytes:
        return [Unit(kind, rest, files)]
    groups: list[list[File]] = [[]]
    total = 0
    for file in files:
        size = file_size(file)
        if groups[-1] and total + size > cfg.task_bytes:
            groups.append([])
            total = 0
        groups[-1].append(file)
        total += size
    return [Unit(kind, rest if kind == "demo" else "", tuple(group)) for group in groups]


def read_unit(unit: Unit, cfg: DataConfig) -> Iterator[Document | Damaged]:
    """Yields the documents of a unit, and what was damaged, up to DataConfig.max_bytes of text.

    Raises UserError on damage if it is to stop.
    """
    if not cfg.max_bytes:
        yield from _documents(unit, cfg)
        return
    size = 0
    for found in _documents(unit, cfg):
        yield found
        size += len(found.text.encode()) if isinstance(found, Document) else 0
        if size >= cfg.max_bytes:
            return


def _documents(unit: Unit, cfg: DataConfig) -> Iterable[Document | Damaged]:
    if unit.kind == "demo":
        return read_demo_files(unit.name, unit.files, cfg.damaged)
    if unit.kind == "tfds":
        return read_tfds(unit.name, cfg.text_field, cfg.damaged)
    return (found for file in unit.files for found in read_file(file, cfg.text_field, cfg.damaged))


def _kind(spec: str) -> tuple[Kind, str]:
    """Splits "demo:code" into ("demo", "code")."""
    kind, colon, rest = spec.partition(":")
    if not colon or "/" in kind or "*" in kind or rest.startswith("//"):
        return "path", spec
    if kind not in ("demo", "tfds"):
        raise UserError(f"source {spec!r}: {kind!r} is no kind of source; write a path, a glob, demo:... or tfds:...")
    return kind, rest
