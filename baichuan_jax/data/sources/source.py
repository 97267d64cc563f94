"""Source specifications: which files one reads, and the documents in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.sources.demo import demo_files, read_demo
from baichuan_jax.data.document import Document
from baichuan_jax.data.sources.files import find_files, read_file
from baichuan_jax.data.sources.tfds_source import read_tfds, tfds_files


def source_files(spec: str) -> tuple[Path, ...]:
    """Returns every file that a specification reads, for fingerprints. Raises UserError if there is none."""
    kind, rest = _kind(spec)
    if kind == "demo":
        return demo_files(rest)
    if kind == "tfds":
        return tfds_files(rest)
    patterns = [pattern.strip() for pattern in spec.split(";") if pattern.strip()]
    return tuple(dict.fromkeys(file for pattern in patterns for file in find_files(pattern)))


def read_source(spec: str, cfg: DataConfig) -> Iterator[Document]:
    """Yields the documents of a specification, always in the same order, up to DataConfig.max_bytes of text."""
    size = 0
    for document in _documents(spec, cfg):
        yield document
        size += len(document.text.encode())
        if 0 < cfg.max_bytes <= size:
            return


def _documents(spec: str, cfg: DataConfig) -> Iterator[Document]:
    kind, rest = _kind(spec)
    if kind == "demo":
        yield from read_demo(rest, cfg.invalid_utf8)
    elif kind == "tfds":
        yield from read_tfds(rest, cfg.text_field, cfg.invalid_utf8)
    else:
        for path in source_files(spec):
            yield from read_file(path, cfg.text_field, cfg.invalid_utf8)


def _kind(spec: str) -> tuple[str, str]:
    """Splits "demo:code" into ("demo", "code"); of a path the kind is ""."""
    kind, colon, rest = spec.partition(":")
    if not colon or "/" in kind or "*" in kind:
        return "", spec
    if kind not in ("demo", "tfds"):
        raise UserError(f"source {spec!r}: {kind!r} is no kind of source; write a path, a glob, demo:... or tfds:...")
    return kind, rest
