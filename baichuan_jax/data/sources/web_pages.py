"""Files that are web pages: their encoding, as browsers find it or better, and their main text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from baichuan_jax.data.config import Reading
from baichuan_jax.data.document import Damaged, Document, decoded
from baichuan_jax.data.encodings.codec import UTF8, decode_text, encoding_name, split_byte_order_mark
from baichuan_jax.data.encodings.detect import AUTO, consistent, detect_encoding, is_utf16
from baichuan_jax.data.encodings.realign import DOUBLE_BYTE
from baichuan_jax.data.sources.byte_lines import HEAD, read_bytes
from baichuan_jax.data.sources.file_system import File
from baichuan_jax.data.sources.hostile import scan_markup
from baichuan_jax.data.sources.html import extract_main_text

NO_TEXT = "no_main_text"  # the reason for a valid page without text, such as an index
PRESCAN = 4096  # bytes that are searched for a declared encoding; browsers search 1,024
COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
CHARSET = re.compile(rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([^\s\"'/>;]+)", re.IGNORECASE)
XML = re.compile(rb"\s*<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([^\"'>]+)", re.IGNORECASE)
TELLING = 60  # bytes that are not ASCII from which detection is more reliable than a declaration
WRONG = 0.1  # of the characters that are not ASCII: if more cannot be decoded, the declared encoding is wrong


def read_page(file: File, reading: Reading) -> Iterator[Document | Damaged]:
    """Yield the main text of a web page."""
    raw = read_bytes(file, "no page is so large")
    if isinstance(raw, Damaged):
        yield raw
        return
    raw, encoding = page_encoding(raw, reading.encoding)
    yield page_document(decoded(raw, str(file), reading.damaged, encoding))


def page_document(page: Document) -> Document | Damaged:
    """Return the document of the main text of a page. page: the document of its HTML."""
    tags, said = scan_markup(page.text)
    if said:
        return Damaged(page.source, "hostile_page", f"{page.source}: {said}", page.text[:HEAD])
    text = extract_main_text(page.text, tags)
    if not text:
        said = "a web page in which no main text was found"
        return Damaged(page.source, NO_TEXT, f"{page.source}: {said}", page.text[:HEAD])
    return page._replace(text=text)


def page_encoding(raw: bytes, encoding: str) -> tuple[bytes, str]:
    """Return the bytes of a page without a byte order mark, and their encoding. encoding: a given one, or AUTO.

    The declared encoding is used, as in browsers, unless the bytes are valid UTF-8, or long enough to show that they
    are in another encoding.
    """
    raw, mark = split_byte_order_mark(raw)
    if mark or encoding != AUTO:
        return raw, mark or encoding
    found, said = detect_encoding(raw), _said(raw)
    if said in (None, UTF8, found) or found == UTF8 or is_utf16(found):
        return raw, found
    return raw, said if _believed(raw, said, found) else found


def _believed(raw: bytes, said: str, found: str) -> bool:
    """Return whether a page is in the declared encoding and not in the detected one."""
    high = len(raw.translate(None, bytes(range(0x80))))
    if found in DOUBLE_BYTE:
        return high < TELLING or (said in DOUBLE_BYTE and consistent(raw, said))
    return said not in DOUBLE_BYTE or decode_text(raw, said)[1] <= max(1, WRONG * high / 2)


def _said(raw: bytes) -> str | None:
    """Return the encoding that a page declares."""
    head = COMMENT.sub(b"", raw[:PRESCAN])
    for pattern in (XML, CHARSET):
        found = pattern.match(head) if pattern is XML else pattern.search(head)
        label = found[1].decode("latin-1") if found else ""
        if label.lower() == "x-user-defined":
            return "windows-1252"
        if name := encoding_name(label):
            return UTF8 if is_utf16(name) else name  # it was read as ASCII, so it is not in UTF-16
    return None
