"""What sources yield: documents, and what was there instead of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from baichuan_jax.core.errors import UserError

OnDamage = Literal["skip", "stop"]


class Document(NamedTuple):
    """One text. source: where it stands ("reviews.jsonl:17"). replaced: U+FFFD put in for bytes that are not UTF-8."""

    text: str
    source: str
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class Damaged:
    """Something that could not be read.

    reason: for the funnel: "truncated_file", "unreadable_file", "file_too_long", "line_too_long", "not_json" or
    "no_text_field". message: what was wrong, where, and what to do. text: the beginning of what was there.
    """

    source: str
    reason: str
    message: str
    text: str = ""


def decoded(raw: bytes, source: str, damaged: OnDamage) -> Document:
    """Returns the document that bytes hold. Raises UserError as `decode` does."""
    text, replaced = decode(raw, source, damaged)
    return Document(text, source, replaced)


def decode(raw: bytes, source: str, damaged: OnDamage) -> tuple[str, int]:
    """Returns (text, number of U+FFFD put in). Raises UserError on bytes that are not UTF-8 if damage is to stop.

    source: where `raw` stands, for the message; the line is added if `raw` has several.
    """
    try:
        return raw.decode(), 0
    except UnicodeDecodeError as error:
        if damaged == "stop":
            line = raw.count(b"\n", 0, error.start) + 1
            place = f"{source}:{line}" if b"\n" in raw[:-1] else source
            raise UserError(
                f"{place}: byte {error.start} ({raw[error.start]:#04x}) is not UTF-8; convert the file, or put U+FFFD "
                "for such bytes: DataConfig.damaged = 'skip'"
            ) from None
    text = raw.decode(errors="replace")
    return text, text.count("\ufffd") - raw.count(b"\xef\xbf\xbd")
