"""What sources yield."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import UserError

InvalidUtf8 = Literal["replace", "reject"]


@dataclass(frozen=True, slots=True)
class Document:
    """One text. source: where it stands ("reviews.jsonl:17"). replaced: U+FFFD put in for bytes that are not UTF-8."""

    text: str
    source: str
    replaced: int = 0


def decoded(raw: bytes, source: str, invalid_utf8: InvalidUtf8) -> Document:
    """Returns the document that bytes hold. Raises UserError as `decode` does."""
    text, replaced = decode(raw, source, invalid_utf8)
    return Document(text, source, replaced)


def decode(raw: bytes, source: str, invalid_utf8: InvalidUtf8) -> tuple[str, int]:
    """Returns (text, number of U+FFFD put in). Raises UserError on bytes that are not UTF-8 if they are rejected.

    source: where `raw` stands, for the message; the line is added if `raw` has several.
    """
    try:
        return raw.decode(), 0
    except UnicodeDecodeError as error:
        if invalid_utf8 == "reject":
            line = raw.count(b"\n", 0, error.start) + 1
            place = f"{source}:{line}" if b"\n" in raw[:-1] else source
            raise UserError(
                f"{place}: byte {error.start} ({raw[error.start]:#04x}) is not UTF-8; convert the file, or put U+FFFD "
                "for such bytes: DataConfig.invalid_utf8 = 'replace'"
            ) from None
    text = raw.decode(errors="replace")
    return text, text.count("\ufffd") - raw.count(b"\xef\xbf\xbd")
