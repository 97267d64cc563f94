"""The rows of evaluation sets in files of all known formats."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.select.rows import Row, rows_of, table_rows
from baichuan_jax.data.sources.file_system import File, find_paths, open_file

LARGEST_CELL = 1 << 30  # characters of a CSV cell; the csv module stops at 131,072 by default
BLOCKS = re.compile(r"\n[ \t]*\n")
BYTE_ORDER = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def set_files(pattern: str) -> tuple[File, ...]:
    """Return the files of an evaluation set, sorted. Raise UserError if there are none or one has an unknown format."""
    files = find_paths(pattern)
    for path in files:
        if not str(path).endswith(".zip"):
            _reader(str(path))
    return files


def set_rows(pattern: str) -> Iterator[tuple[str, Row]]:
    """Yield (place, row) of every row of an evaluation set; a place reads "ceval.zip: val/law_val.csv row 3".

    Raise UserError, naming the file, if one is broken.
    """
    for path in set_files(pattern):
        name = str(path).rpartition("/")[2]
        try:
            with open_file(path) as file:
                for place, inner, raw in _members(name, file.read()):
                    for number, row in enumerate(_reader(inner)(_decode(inner, raw)), 1):
                        yield f"{place} row {number}", row
        except (OSError, ValueError, EOFError, RecursionError, csv.Error, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: cannot be read as an evaluation set ({error}); fetch it again") from None


def _members(name: str, raw: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Yield (place, name, content) of a file, or of each file in a zip of them."""
    if not name.endswith(".zip"):
        yield name, name, raw
        return
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for inner in sorted(archive.namelist()):
            if not inner.endswith("/"):
                yield f"{name}: {inner}", inner, archive.read(inner)


def _decode(name: str, raw: bytes) -> str:
    """Return the text of a file. Raise ValueError if its encoding is not Unicode."""
    data = gzip.decompress(raw) if name.endswith(".gz") else raw
    try:
        return data.decode(BYTE_ORDER.get(data[:2], "utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8: byte {error.start}; convert it with iconv -t UTF-8") from None


def _reader(name: str) -> Callable[[str], Iterator[Row]]:
    suffix = Path(name.removesuffix(".gz")).suffix.lower()
    if suffix not in READERS:
        raise UserError(
            f"{name}: unsupported file type of an evaluation set; supported endings: {', '.join(READERS)}, .gz, .zip"
        )
    return READERS[suffix]


def _json(text: str) -> Iterator[Row]:
    """Yield the rows of one JSON value, or of several, one a line."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise
        yield from _json_lines(text)
    else:
        yield from rows_of(value)


def _json_lines(text: str) -> Iterator[Row]:
    for line in text.split("\n"):  # a JSON string may contain any other line end
        if line.strip():
            yield from rows_of(json.loads(line))


def _table(text: str, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(LARGEST_CELL)
    yield from table_rows(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _text(text: str) -> Iterator[Row]:
    """Yield each paragraph as a row, or each line if there are no blank lines."""
    text = "\n".join(text.splitlines())
    parts = BLOCKS.split(text.strip())
    for part in parts if len(parts) > 1 else text.split("\n"):
        if part.strip():
            yield Row(stem=(part,))


READERS: dict[str, Callable[[str], Iterator[Row]]] = {
    ".jsonl": _json_lines,
    ".json": _json,
    ".csv": lambda text: _table(text, ","),
    ".tsv": lambda text: _table(text, "\t"),
    ".txt": _text,
}
