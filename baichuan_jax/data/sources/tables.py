"""Tables: CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any

from baichuan_jax.data.config import Reading
from baichuan_jax.data.document import Damaged, Document, decoded
from baichuan_jax.data.encodings.codec import UTF8
from baichuan_jax.data.encodings.detect import settle_encoding
from baichuan_jax.data.sources.byte_lines import HEAD, MOST, encoded_lines, unreadable
from baichuan_jax.data.sources.file_system import File, open_file
from baichuan_jax.data.sources.json_files import text_document

Found = Iterator[Document | Damaged]
DELIMITERS = ",\t;|"
SEPARATOR = re.compile("sep=(.)", re.IGNORECASE)
UNCLOSED = re.compile("unexpected end|field larger")  # the errors of csv for a quote that is never closed
SHOWN = 50  # rows from which the length of the text of a column is estimated


def read_separated(file: File, reading: Reading) -> Found:
    """Yield one document for each row of a CSV file, whose first row names the columns.

    The delimiter is a comma, tab, semicolon or bar: the one in Excel's first line "sep=;", else the most frequent one
    in the first row. A quoted value may contain line ends.
    """
    csv.field_size_limit(MOST)
    text = _Lines(file, reading)
    first = next((line for line in text if line.strip()), "")
    said = SEPARATOR.fullmatch(first.strip())
    if said:
        first = next(text, "")
    usual = "\t" if ".tsv" in str(file).lower() else ","
    delimiter = said[1] if said else max((usual, *DELIMITERS), key=first.count)
    text.push(first)
    rows = _rows(text, delimiter)
    names = [name.strip() for name in next(rows, [])]
    for row in rows:
        yield from text.damage()
        if isinstance(row, Damaged):
            yield row
        elif any(row):
            yield _of_row(_by_column(names, row, delimiter), text, reading)
    yield from text.damage()


def _by_column(names: list[str], row: list[str], delimiter: str) -> dict[str, str]:
    """Return {column: value} of a row; surplus values, from unquoted delimiters, are joined to the last column."""
    beyond = row[len(names) :]
    return dict(zip(names, [*row[: len(names) - 1], delimiter.join(row[len(names) - 1 :])] if any(beyond) else row))


def _of_row(fields: dict[str, str], text: _Lines, reading: Reading) -> Document | Damaged:
    name, source = reading.text_field, text.source
    if name not in fields:
        said = f"no column {name!r}; its columns are {', '.join(fields):.200}; choose with DataConfig.text_fields"
        shown = ", ".join(fields.values())[:HEAD]
        sizes = {column: len(value) for column, value in fields.items()}
        return Damaged(source, "no_text_field", f"{source}: {said}", shown, sizes)
    return text_document(fields[name], source, text.taken_replaced(), text.encoding)


def _rows(text: _Lines, delimiter: str) -> Iterator[list[str] | Damaged]:
    """Yield the rows. After a quote that is never closed, quotes are read as plain characters."""
    quoting, strict = csv.QUOTE_MINIMAL, True
    while True:
        text.row = []
        try:
            yield next(csv.reader(text, delimiter=delimiter, quoting=quoting, strict=strict))
            strict = True
        except StopIteration:
            return
        except csv.Error as error:
            lines = text.row
            if strict and not UNCLOSED.search(str(error)):
                text.push(*lines)  # as in '"a"b': the row can be read, though not in strict mode
                strict = False
                continue
            source = f"{text.source}: the row that begins {max(0, len(lines) - 1)} lines before"
            yield Damaged(text.source, "not_csv", f"{source}: not CSV: {error}", lines[0][:HEAD] if lines else "")
            text.push(*lines[1:])
            quoting = csv.QUOTE_NONE


class _Lines:
    """The decoded lines of a file, for csv.reader; damage is kept for the reader of the rows."""

    def __init__(self, file: File, reading: Reading):
        self._lines, self._file, self._reading = encoded_lines(file, reading.encoding), file, reading
        self._waiting: list[str] = []
        self._damage: list[Damaged] = []
        self._replaced = 0
        self.number, self.encoding = 0, UTF8
        self.row: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._waiting:
            line = self._waiting.pop()
            self.row.append(line)
            return line
        for number, line, encoding in self._lines:
            self.number, self.encoding = number, encoding
            if isinstance(line, Damaged):
                self._damage.append(line)
                continue
            found = decoded(line, self.source, self._reading.damaged, self.encoding)
            self._replaced += found.replaced
            self.row.append(found.text)
            return found.text
        raise StopIteration

    @property
    def source(self) -> str:
        return f"{self._file}:{self.number}"

    def push(self, *lines: str) -> None:
        """Push lines back, to be read again."""
        self._waiting.extend(reversed(lines))

    def damage(self) -> list[Damaged]:
        """Return the damage since the last call."""
        found, self._damage = self._damage, []
        return found

    def taken_replaced(self) -> int:
        """Return the number of U+FFFD inserted since the last call."""
        found, self._replaced = self._replaced, 0
        return found


def read_parquet(file: File, reading: Reading) -> Found:
    """Yield one document for each row of a column of strings."""
    import pyarrow
    from pyarrow import parquet

    try:
        with open_file(file) as stream:
            yield from _column(parquet.ParquetFile(stream), file, reading)
    except (pyarrow.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # errors of Arrow itself have no number
            yield unreadable(file, error)
            return
        message = f"{file}: not a whole Parquet file ({error}); download the file again"
        yield Damaged(str(file), "truncated_file", message)


def _column(table: Any, file: File, reading: Reading) -> Found:
    import pyarrow

    name, names = reading.text_field, table.schema_arrow.names
    if name not in names:
        said = f"no column {name!r}; its columns are {', '.join(names):.200}; choose with DataConfig.text_fields"
        yield Damaged(str(file), "no_text_field", f"{file}: {said}", fields=_lengths(table))
        return
    kind = table.schema_arrow.field(name).type
    if not _is_text(kind):
        said = f"column {name!r} holds {kind}, not strings"
        yield Damaged(str(file), "no_text_field", f"{file}: {said}", fields=_lengths(table))
        return
    number = 0
    for batch in table.iter_batches(batch_size=1024, columns=[name]):
        for raw in _plain(batch.column(0)).cast(pyarrow.large_binary()).to_pylist():
            number += 1
            source = f"{file}:{number}"
            if raw is None:
                yield Damaged(source, "no_text_field", f"{source}: column {name!r} is null")
                continue
            raw, encoding = settle_encoding(raw, reading.encoding if _is_bytes(kind) else UTF8)
            found = decoded(raw, source, reading.damaged, encoding)
            yield text_document(found.text, source, found.replaced, found.encoding)


def _is_text(kind: Any) -> bool:
    """Return whether an Arrow type is text, or bytes that may be text, in any encoding of Arrow."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return _is_bytes(kind) or types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view"


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_bytes(kind.value_type)
    return types.is_binary(kind) or types.is_large_binary(kind) or str(kind) == "binary_view"


def _plain(column: Any) -> Any:
    """Return a column without dictionary encoding."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def _lengths(table: Any) -> dict[str, int]:
    """Return {column: bytes in its first rows} of the columns of text."""
    import pyarrow

    names = [field.name for field in table.schema_arrow if _is_text(field.type)]
    batch = next(table.iter_batches(batch_size=SHOWN, columns=names), None) if names else None
    columns = {} if batch is None else dict(zip(names, batch.columns))
    return {
        name: sum(len(value or b"") for value in _plain(column).cast(pyarrow.large_binary()).to_pylist())
        for name, column in columns.items()
    }
