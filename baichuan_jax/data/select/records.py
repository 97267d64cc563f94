"""The strings of evaluation sets, whatever files they come in."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.sources.storage import File, find_paths, open_file


def set_files(pattern: str) -> tuple[File, ...]:
    """Returns the files of an evaluation set, sorted. Raises UserError if there are none or one is of no known kind."""
    files = find_paths(pattern)
    for path in files:
        if not str(path).endswith(".zip"):
            _reader(str(path))
    return files


def set_strings(pattern: str) -> Iterator[str]:
    """Yields every string in the files of an evaluation set. Raises UserError, naming the file, if one is broken."""
    for path in set_files(pattern):
        try:
            with open_file(path) as file:
                if not str(path).endswith(".zip"):
                    yield from _strings(str(path), file.read())
                    continue
                with zipfile.ZipFile(file) as archive:
                    for name in sorted(archive.namelist()):
                        if not name.endswith("/"):
                            yield from _strings(name, archive.read(name))
        except (OSError, ValueError, EOFError, csv.Error, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: cannot be read as an evaluation set ({error}); fetch it again") from None


def _strings(name: str, raw: bytes) -> Iterator[str]:
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("utf-8-sig")
    return _reader(name)(text)


def _reader(name: str) -> Callable[[str], Iterator[str]]:
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in READERS:
        raise UserError(f"{name}: no evaluation set is read from such a file; endings: {', '.join(READERS)}, .gz, .zip")
    return READERS[suffix]


def _leaves(value: Any) -> Iterator[str]:
    """Yields the strings anywhere in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part)


READERS: dict[str, Callable[[str], Iterator[str]]] = {
    ".jsonl": lambda text: (leaf for line in text.splitlines() if line.strip() for leaf in _leaves(json.loads(line))),
    ".json": lambda text: _leaves(json.loads(text)),
    ".csv": lambda text: (cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row),
    ".txt": lambda text: iter([text]),
}
