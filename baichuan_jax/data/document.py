"""What sources yield: documents, and Damaged for what could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.encodings.codec import UTF8, decode_text, python_codec

OnDamage = Literal["skip", "stop"]


class Document(NamedTuple):
    """One text.

    source: file and line ("reviews.jsonl:17"). replaced: number of U+FFFD that replace undecodable bytes. encoding: of
    the original bytes.
    """

    text: str
    source: str
    replaced: int = 0
    encoding: str = UTF8


@dataclass(frozen=True, slots=True)
class Damaged:
    """Something that could not be read.

    reason: for the funnel: "truncated_file", "unreadable_file", "file_too_long", "line_too_long", "not_json",
    "not_csv", "no_text_field", "hostile_page" or "no_main_text". message: what is wrong, where, and what to do. text:
    the beginning of the input. fields: of a record without the text field, name -> number of characters.
    """

    source: str
    reason: str
    message: str
    text: str = ""
    fields: dict[str, int] = field(default_factory=dict)


def decoded(raw: bytes, source: str, damaged: OnDamage, encoding: str = UTF8) -> Document:
    """Return the document of bytes. Raise UserError on undecodable bytes if `damaged` is "stop".

    source: of `raw`, for the message; the line is added if `raw` has several.
    """
    text, replaced = decode_text(raw, encoding)
    if replaced and damaged == "stop":
        raise UserError(_undecodable(raw, source, encoding))
    return Document(text, source, replaced, encoding)


def _undecodable(raw: bytes, source: str, encoding: str) -> str:
    try:
        raw.decode(python_codec(encoding))
        start = 0  # not reached: something was replaced
    except UnicodeDecodeError as error:
        start = error.start
    place = f"{source}:{raw.count(bytes([10]), 0, start) + 1}" if b"\n" in raw[:-1] else source
    return (
        f"{place}: byte {start} ({raw[start]:#04x}) is not {encoding.upper()}; convert the file, name its encoding "
        "(DataConfig.encodings), or put U+FFFD for such bytes: DataConfig.damaged = 'skip'"
    )
