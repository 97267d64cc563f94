"""The records of JSON, JSON lines and Parquet files, each with its place; what cannot be read is a Damaged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.document import Damaged, decoded
from baichuan_jax.data.encodings.detect import AUTO, settle_encoding
from baichuan_jax.data.sources.byte_lines import encoded_lines, read_bytes, unreadable
from baichuan_jax.data.sources.file_formats import find_files, format_of
from baichuan_jax.data.sources.file_system import File, open_file
from baichuan_jax.data.sources.json_files import AS_LINES, is_lines, parse_json

WHOLE_FILE = ("truncated_file", "unreadable_file", "file_too_long")  # reasons for which nobody knows what is missing
NOT_JSON, UNDECODABLE = "not_json", "undecodable"
ROWS = 1024  # of a Parquet file, read at once


class Record(NamedTuple):
    """A JSON value. place: file and line, or entry."""

    place: str
    value: Any


Found = Iterator[Record | Damaged]


def record_files(spec: str) -> tuple[File, ...]:
    """Return the files of paths and globs that ";" separates, each once however often it is named.

    Raise UserError if one cannot be read.
    """
    files = [file for pattern in filter(None, map(str.strip, spec.split(";"))) for file in find_files(pattern)]
    unknown = [file for file in files if format_of(file) not in READERS]
    if unknown:
        raise UserError(f"{unknown[0]}: conversations are read from {', '.join(READERS)}; convert it to JSON lines")
    unique: dict[File, File] = {}
    for file in files:
        unique.setdefault(file.resolve() if isinstance(file, Path) else file, file)
    return tuple(unique.values())


def read_records(file: File, columns: Sequence[str]) -> Found:
    """Yield the records of a file. columns: of a Parquet file, where it has them."""
    return READERS[format_of(file) or ""](file, columns)


def _read_lines(file: File, columns: Sequence[str]) -> Found:
    for number, line, encoding in encoded_lines(file, AUTO):
        if isinstance(line, Damaged):
            yield line
        elif line.strip():
            place = f"{file}:{number}"
            text = _decoded(line, place, encoding)
            value = text if isinstance(text, Damaged) else parse_json(text, place)
            yield value if isinstance(value, Damaged) else Record(place, value)


def _read_json(file: File, columns: Sequence[str]) -> Found:
    """Yield the records of a list, or a record alone. A file with an object on each line is read as JSON lines."""
    if is_lines(file, AUTO):
        yield from _read_lines(file, columns)
        return
    raw = read_bytes(file, AS_LINES)
    if isinstance(raw, Damaged):
        yield raw
        return
    raw, encoding = settle_encoding(raw, AUTO)
    text = _decoded(raw, str(file), encoding)
    value = text if isinstance(text, Damaged) else parse_json(text, str(file)) if text.strip() else []
    if isinstance(value, Damaged):
        yield value
    elif isinstance(value, list):
        for number, (entry, line) in enumerate(zip(value, _lines_of(text)), 1):
            yield Record(f"{file}:{line} (entry {number})", entry)
    else:
        yield Record(str(file), value)


def _lines_of(text: str) -> Iterator[int]:
    """Yield the line on which each entry of a JSON array begins. text: JSON that can be read."""
    scan, at, line, counted = json.JSONDecoder().raw_decode, text.index("[") + 1, 1, 0
    while True:
        while text[at] in " \t\r\n,":
            at += 1
        if text[at] == "]":
            return
        line, counted = line + text.count("\n", counted, at), at
        yield line
        at = scan(text, at)[1]


def _decoded(raw: bytes, place: str, encoding: str) -> str | Damaged:
    found = decoded(raw, place, "skip", encoding)
    if found.replaced:
        said = f"{place}: {found.replaced} bytes are not {encoding.upper()}; convert the file to UTF-8"
        return Damaged(place, UNDECODABLE, said)
    return found.text


def _read_parquet(file: File, columns: Sequence[str]) -> Found:
    import pyarrow
    from pyarrow import parquet

    try:
        with open_file(file) as stream:
            table = parquet.ParquetFile(stream)
            names = [name for name in table.schema_arrow.names if name in columns]
            if not names:
                said = (
                    f"{file}: none of its columns ({', '.join(table.schema_arrow.names):.200}) is one of a conversation"
                )
                yield Damaged(str(file), "missing_field", f"{said}; choose with InstructionConfig.fields")
                return
            number = 0
            for batch in table.iter_batches(ROWS, columns=names):
                for row in range(len(batch)):
                    number += 1
                    yield _row(batch, row, f"{file} (row {number})")
    except (pyarrow.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # errors of Arrow itself have no number
            yield unreadable(file, error)
            return
        message = f"{file}: not a whole Parquet file ({error}); download the file again"
        yield Damaged(str(file), "truncated_file", message)


def _row(batch: Any, row: int, place: str) -> Record | Damaged:
    try:
        return Record(place, batch.slice(row, 1).to_pylist()[0])
    except UnicodeDecodeError as error:
        return Damaged(place, UNDECODABLE, f"{place}: a text is not UTF-8 at byte {error.start}")


READERS: dict[str, Callable[[File, Sequence[str]], Found]] = {
    ".json": _read_json,
    ".jsonl": _read_lines,
    ".ndjson": _read_lines,
    ".parquet": _read_parquet,
}
