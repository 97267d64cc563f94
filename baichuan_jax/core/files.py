"""Files that are whole or absent: atomic writes, JSON, and content fingerprints."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; renames it into place if the block succeeds, else removes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented UTF-8 JSON atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV atomically."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def read_json(path: Path) -> Any:
    """Return the value in a JSON file. Raise ValueError if it is damaged."""
    return decode_json(path.read_text(encoding="utf-8"))


def decode_json(text: str | bytes) -> Any:
    """Return the value of JSON text. Raise ValueError if it is not JSON, or nested too deeply to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def digest(text: str) -> str:
    """Short hexadecimal SHA-256 of a string: 16 characters, 64 bits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(paths: Iterable[Path | str], known: dict[str, dict] | None = None) -> dict[str, dict]:
    """Return {path: {size, mtime_ns, sha256}} for every file.

    A file whose size and modification time equal its entry in `known` (an earlier answer) is not read again. One on
    other storage, given by its URL, is not read at all: sha256 is that of what the storage says about its version.
    One that cannot be read has the sha256 "unreadable".
    """
    known = known or {}
    found = {}
    for path in paths:
        if isinstance(path, str):
            found[path] = _stored(path)
            continue
        try:
            found[str(path)] = _local(path, known.get(str(path), {}))
        except OSError:
            found[str(path)] = {"size": 0, "mtime_ns": 0, "sha256": "unreadable"}
    return found


def _local(path: Path, old: dict) -> dict:
    stat = path.stat()
    entry = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    if {key: old.get(key) for key in entry} == entry:
        return old
    with path.open("rb") as file:
        return {**entry, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _stored(url: str) -> dict:
    import fsspec

    storage, name = fsspec.core.url_to_fs(url)
    version = hashlib.sha256(str(storage.ukey(name)).encode()).hexdigest()
    return {"size": storage.size(name), "mtime_ns": 0, "sha256": version}
