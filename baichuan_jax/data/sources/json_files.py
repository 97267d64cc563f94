"""JSON lines, and files that are a single JSON value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

from baichuan_jax.data.config import Reading
from baichuan_jax.data.document import Damaged, Document, decoded
from baichuan_jax.data.encodings.codec import UTF8
from baichuan_jax.data.encodings.detect import settle_encoding
from baichuan_jax.data.sources.byte_lines import HEAD, encoded_lines, read_bytes
from baichuan_jax.data.sources.file_system import File
from baichuan_jax.data.sources.html import looks_like_html
from baichuan_jax.data.sources.web_pages import page_document

Found = Iterator[Document | Damaged]
AS_LINES = "convert it to JSON lines, which may have any size: jq -c '.[]' FILE > FILE.jsonl"


def read_json_lines(file: File, reading: Reading) -> Found:
    """Yield one document for each line, which is a JSON object; blank lines are skipped."""
    for number, line, encoding in encoded_lines(file, reading.encoding):
        if isinstance(line, Damaged):
            yield line
            continue
        source = f"{file}:{number}"
        text = _quick(line, reading.text_field) if encoding == UTF8 else None
        if text is not None:
            yield text_document(text, source)
            continue
        record = decoded(line, source, reading.damaged, encoding)
        if record.text.strip():
            yield from _record(record, reading)


def _quick(line: bytes, name: str) -> str | None:
    """Return the text of a line of JSON, or None if `_record` must look at the line. The fast path."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    text = fields.get(name) if isinstance(fields, dict) else None
    return text if isinstance(text, str) else None


def _record(record: Document, reading: Reading) -> Found:
    """Yield the document of a line of JSON, or a Damaged."""
    value = parse_json(record.text, record.source)
    if isinstance(value, Damaged):
        yield value
    else:
        yield _of_object(value, record, reading)


def parse_json(text: str, source: str) -> Any:
    """Return a JSON value, or Damaged."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"{source}: not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}"
    except (RecursionError, ValueError) as error:  # brackets nested too deep, a number of thousands of digits
        message = f"{source}: not JSON that can be read: {error}"
    return Damaged(source, "not_json", message, text[:HEAD])


def _of_object(value: Any, record: Document, reading: Reading) -> Document | Damaged:
    """Return the document of a JSON object. record: its source, and how it was decoded."""
    name, source = reading.text_field, record.source
    if not isinstance(value, dict):
        said = f"expected a JSON object with a field {name!r}, found {type(value).__name__}"
        return Damaged(source, "no_text_field", f"{source}: {said}", _shown(value))
    text = field_of(value, name)
    if text is None:
        said = f"no field {name!r}; its fields are {', '.join(value):.200}; choose with DataConfig.text_fields"
        return Damaged(source, "no_text_field", f"{source}: {said}", _shown(value), lengths(value))
    if not isinstance(text, str):
        said = f"field {name!r} is not a string but {text!r:.80}"
        return Damaged(source, "no_text_field", f"{source}: {said}", _shown(value), lengths(value))
    # JSON can contain a lone surrogate ("\\ud83d"), which has no UTF-8.
    whole = decoded(text.encode(errors="surrogatepass"), source, reading.damaged)
    return text_document(whole.text, source, record.replaced + whole.replaced, record.encoding)


def field_of(value: dict, name: str) -> Any:
    """Return a field by its name, or by its path in nested objects: "meta.text"."""
    found: Any = value
    for part in [name] if name in value else name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def lengths(fields: dict[str, Any]) -> dict[str, int]:
    """Return {name: number of characters} of the string fields, those of nested objects as "meta.text"."""
    found = {}
    for name, value in fields.items():
        if isinstance(value, str):
            found[name] = len(value)
        elif isinstance(value, dict):
            found |= {f"{name}.{inner}": len(text) for inner, text in value.items() if isinstance(text, str)}
    return found


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:HEAD]


def text_document(text: str, source: str, replaced: int = 0, encoding: str = UTF8) -> Document | Damaged:
    """Return the document of the text of a record; of a web page, its main text."""
    document = Document(text, source, replaced, encoding)
    return page_document(document) if looks_like_html(text) else document


def read_json(file: File, reading: Reading) -> Found:
    """Yield the documents of a JSON value: a list of objects, an object of parallel lists, or a single object.

    A file whose first line is a complete value, and not the last line, is read as JSON lines.
    """
    if is_lines(file, reading.encoding):
        yield from read_json_lines(file, reading)
        return
    raw = read_bytes(file, AS_LINES)
    if isinstance(raw, Damaged):
        yield raw
        return
    raw, encoding = settle_encoding(raw, reading.encoding)
    record = decoded(raw, str(file), reading.damaged, encoding)
    value = parse_json(record.text, record.source) if record.text.strip() else []
    if isinstance(value, Damaged):
        yield value
        return
    for place, entry in _entries(value, reading.text_field):
        yield _of_object(entry, record._replace(source=f"{file}{place}"), reading)
        record = record._replace(replaced=0)  # counted once, with the first document


def is_lines(file: File, encoding: str) -> bool:
    """Return whether the first line of a file is a JSON object, and another line follows."""
    first = None
    for _, line, found in encoded_lines(file, encoding):
        if isinstance(line, Damaged):
            return first is not None
        if not line.strip():
            continue
        if first is not None:
            return True
        try:
            first = json.loads(decoded(line, str(file), "skip", found).text)
        except (ValueError, RecursionError):
            return False
        if not isinstance(first, dict):
            return False
    return False


def _entries(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield (place in the file, JSON object) of the records in a value."""
    if isinstance(value, dict) and not isinstance(field_of(value, name), str):
        inner = field_of(value, name)
        if isinstance(inner, dict):
            inner = list(inner.values())  # a column as pandas writes it: {"text": {"0": "...", "1": "..."}}
        lists = [part for part in value.values() if isinstance(part, list)]
        if isinstance(inner, list):  # a list for each field
            yield from ((f":{number}", {name: text}) for number, text in enumerate(inner, 1))
            return
        if len(lists) == 1 and any(isinstance(entry, dict) for entry in lists[0]):  # {"data": [...]}
            value = lists[0]
    if isinstance(value, list):
        yield from ((f":{number}", entry) for number, entry in enumerate(value, 1))
    else:
        yield "", value
