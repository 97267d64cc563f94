"""Units of reading: the files of a source specification, their division among tasks, and their documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import DataConfig, reading
from baichuan_jax.data.document import Damaged, Document
from baichuan_jax.data.sources.demo import demo_files, read_demo_files
from baichuan_jax.data.sources.file_formats import find_files, read_file
from baichuan_jax.data.sources.file_system import File, file_size
from baichuan_jax.data.sources.tfds_source import read_tfds, tfds_files

Kind = Literal["path", "demo", "tfds"]


@dataclass(frozen=True)
class Unit:
    """The input of one task. domain: of its documents. name: of the demo corpus or dataset, "" for files."""

    domain: str
    kind: Kind
    name: str
    files: tuple[File, ...]


def source_files(spec: str) -> tuple[File, ...]:
    """Return every file that a specification reads. Raise UserError, naming all problems, if one cannot be read."""
    kind, rest = _kind(spec)
    if kind == "demo":
        return demo_files(rest)
    if kind == "tfds":
        return tfds_files(rest)
    found, wrong = [], []
    for pattern in filter(None, map(str.strip, spec.split(";"))):
        try:
            found += find_files(pattern)
        except UserError as error:
            wrong.append(str(error))
    if wrong:
        raise UserError("; ".join(wrong))
    return tuple(dict.fromkeys(found))


def all_source_files(sources: dict[str, str]) -> dict[str, tuple[File, ...]]:
    """Return the files of every domain. Raise UserError, naming all problems, if a source cannot be read."""
    found, wrong = {}, []
    for domain, spec in sources.items():
        try:
            found[domain] = source_files(spec)
        except UserError as error:
            wrong.append(f"DataConfig.sources[{domain!r}]: {error}")
    if wrong:
        raise UserError("\n".join(wrong))
    return found


def source_units(cfg: DataConfig) -> list[Unit]:
    """Return the units of all domains, in order: groups of files up to DataConfig.task_bytes.

    A domain is a single unit if it is a tensorflow-datasets dataset, and with DataConfig.max_bytes, where reading
    continues from file to file. Raise UserError as `all_source_files` does.
    """
    files = all_source_files(cfg.sources)
    return [unit for domain, spec in cfg.sources.items() for unit in _units(domain, spec, files[domain], cfg)]


def _units(domain: str, spec: str, files: tuple[File, ...], cfg: DataConfig) -> list[Unit]:
    kind, rest = _kind(spec)
    name = "" if kind == "path" else rest
    if kind == "tfds" or cfg.max_bytes:
        return [Unit(domain, kind, name, files)]
    groups: list[list[File]] = [[]]
    total = 0
    for file in files:
        size = file_size(file)
        if groups[-1] and total + size > cfg.task_bytes:
            groups.append([])
            total = 0
        groups[-1].append(file)
        total += size
    return [Unit(domain, kind, name, tuple(group)) for group in groups]


def read_unit(unit: Unit, cfg: DataConfig) -> Iterator[Document | Damaged]:
    """Yield the documents of a unit, and a Damaged for what cannot be read, up to DataConfig.max_bytes of text.

    Raise UserError instead if DataConfig.damaged is "stop".
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
    how = reading(cfg, unit.domain)
    if unit.kind == "demo":
        return read_demo_files(unit.name, unit.files, cfg.damaged)
    if unit.kind == "tfds":
        return read_tfds(unit.name, how.text_field, cfg.damaged)
    return (found for file in unit.files for found in read_file(file, how))


def _kind(spec: str) -> tuple[Kind, str]:
    """Split "demo:code" into ("demo", "code")."""
    kind, colon, rest = spec.partition(":")
    if not colon or "/" in kind or "*" in kind or rest.startswith("//"):
        return "path", spec
    if kind not in ("demo", "tfds"):
        raise UserError(
            f"source {spec!r}: unknown kind of source {kind!r}; expected a path, a glob, demo:... or tfds:..."
        )
    return kind, rest
