"""Text files: which formats there are, and how each becomes documents."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.document import Damaged, Document, OnDamage, decode, decoded
from baichuan_jax.data.sources.html import extract, looks_like_html
from baichuan_jax.data.sources.lines import HEAD, MOST, lines, unreadable
from baichuan_jax.data.sources.storage import File, find_paths, open_file

Found = Iterator[Document | Damaged]
CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.IGNORECASE)
CHARSET_BYTES = 4096  # of a page in which it says how it is encoded


def find_files(pattern: str) -> tuple[File, ...]:
    """Returns the files of a path or glob, sorted. Raises UserError if there are none or one is of no known kind."""
    files = find_paths(pattern)
    for file in files:
        reader(file)
    return files


def read_file(file: File, text_field: str, damaged: OnDamage) -> Found:
    """Yields the documents of a file, and what was damaged; raises UserError on that instead if damage is to stop."""
    for found in reader(file)(file, text_field, damaged):
        if isinstance(found, Damaged) and damaged == "stop":
            raise UserError(found.message)
        yield found


def reader(file: File) -> Callable[[File, str, OnDamage], Found]:
    """Returns the function that reads files named like `file`. Raises UserError if the ending is not known."""
    for suffix, function in READERS.items():
        if str(file).endswith(suffix):
            return function
    raise UserError(f"{file}: cannot read this kind of file; supported endings: {', '.join(READERS)}")


def read_whole(file: File, text_field: str, damaged: OnDamage) -> Found:
    """Yields the file as one document."""
    raw = _whole(file)
    yield raw if isinstance(raw, Damaged) else decoded(raw.removeprefix(b"\xef\xbb\xbf"), str(file), damaged)


def read_page(file: File, text_field: str, damaged: OnDamage) -> Found:
    """Yields the main text of a web page. Its encoding is UTF-8, or the one that it names."""
    raw = _whole(file)
    if isinstance(raw, Damaged):
        yield raw
        return
    named = CHARSET.search(raw[:CHARSET_BYTES])
    encoding = named[1].decode() if named else "utf-8"
    try:
        page = raw.decode("gb18030" if encoding.lower() in ("gb2312", "gbk") else encoding)
        yield Document(extract(page), str(file))
    except (UnicodeDecodeError, LookupError):
        page, replaced = decode(raw, str(file), damaged)
        yield Document(extract(page), str(file), replaced)


def _whole(file: File) -> bytes | Damaged:
    try:
        with open_file(file) as stream:
            raw = stream.read(MOST + 1)
    except OSError as error:
        return unreadable(file, error)
    if len(raw) > MOST:
        head = raw[:HEAD].decode(errors="replace")
        return Damaged(str(file), "file_too_long", f"{file}: more than {MOST >> 20} MB in one document; split it", head)
    return raw


def read_json_lines(file: File, text_field: str, damaged: OnDamage) -> Found:
    """Yields one document for each line, a JSON object; blank lines are skipped."""
    name = str(file)
    for number, line in lines(file):
        source = f"{name}:{number}"
        if isinstance(line, Damaged):
            yield line
            continue
        text, replaced = _quick(line, text_field), 0
        if text is None:
            record, replaced = decode(line, source, damaged)
            if not record.strip():
                continue
            text = _parse(record, text_field, source)
            if isinstance(text, Damaged):
                yield text
                continue
            # JSON can hold half of a surrogate pair ("\\ud83d"), which is no character and has no UTF-8.
            text, halves = decode(text.encode(errors="surrogatepass"), source, damaged)
            replaced += halves
        yield Document(extract(text) if looks_like_html(text) else text, source, replaced)


def _quick(line: bytes, name: str) -> str | None:
    """Returns the text of a line of JSON, or None if `_parse` has to say what is wrong with it, if anything is."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    text = fields.get(name) if isinstance(fields, dict) else None
    return text if isinstance(text, str) else None


def _parse(record: str, name: str, source: str) -> str | Damaged:
    """Returns the text of a line of JSON."""
    try:
        fields = json.loads(record)
    except json.JSONDecodeError as error:
        message = f"{source}: not JSON: {error.msg} at character {error.pos + 1}"
        return Damaged(source, "not_json", message, record[:HEAD])
    except (RecursionError, ValueError) as error:  # brackets without end, a number of thousands of digits
        return Damaged(source, "not_json", f"{source}: not JSON that can be read: {error}", record[:HEAD])
    if not isinstance(fields, dict):
        said = f"expected a JSON object with a field {name!r}, found {type(fields).__name__}"
    elif name not in fields:
        said = f"no field {name!r}; {_choose(fields)}"
    elif not isinstance(fields[name], str):
        said = f"field {name!r} is not a string but {fields[name]!r:.80}"
    else:
        return fields[name]
    return Damaged(source, "no_text_field", f"{source}: {said}", record[:HEAD])


def _choose(fields: Iterable[str]) -> str:
    return f"its fields are {', '.join(fields):.200}; choose with DataConfig.text_field"


def read_parquet(file: File, text_field: str, damaged: OnDamage) -> Found:
    """Yields one document for each row of a column of strings."""
    import pyarrow
    from pyarrow import parquet

    try:
        with open_file(file) as stream:
            yield from _rows(parquet.ParquetFile(stream), file, text_field, damaged)
    except (pyarrow.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # Arrow's own errors have no number
            yield unreadable(file, error)
            return
        message = f"{file}: not a whole Parquet file ({error}); fetch the file again"
        yield Damaged(str(file), "truncated_file", message)


def _rows(table: Any, file: File, name: str, damaged: OnDamage) -> Found:
    import pyarrow

    names = table.schema_arrow.names
    if name not in names:
        yield Damaged(str(file), "no_text_field", f"{file}: no column {name!r}; {_choose(names)}")
        return
    kind = table.schema_arrow.field(name).type
    if kind not in (pyarrow.string(), pyarrow.large_string(), pyarrow.binary(), pyarrow.large_binary()):
        yield Damaged(str(file), "no_text_field", f"{file}: column {name!r} holds {kind}, not strings")
        return
    number = 0
    for batch in table.iter_batches(batch_size=1024, columns=[name]):
        for raw in batch.column(0).cast(pyarrow.large_binary()).to_pylist():
            number += 1
            source = f"{file}:{number}"
            if raw is None:
                yield Damaged(source, "no_text_field", f"{source}: column {name!r} is null")
                continue
            found = decoded(raw, source, damaged)
            yield Document(extract(found.text), source, found.replaced) if looks_like_html(found.text) else found


READERS: dict[str, Callable[[File, str, OnDamage], Found]] = {
    ".txt": read_whole,
    ".html": read_page,
    ".htm": read_page,
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".jsonl.zst": read_json_lines,
    ".parquet": read_parquet,
}
