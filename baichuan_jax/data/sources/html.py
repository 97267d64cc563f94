"""Web pages: the main text of a page of HTML, extracted by trafilatura."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import cache

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.extras import install_extra
from baichuan_jax.data.combining import order_marks

BEGINNING = 2000  # characters in which the marks of a page must be found
BEFORE = re.compile(r"[\s\ufeff]+")
START = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
# lxml refuses text with an encoding declaration, and stops at a NUL.
DECLARATION = re.compile(r"\s*<\?xml\b[^>]*>", re.IGNORECASE)
MANY_TAGS = 1500
CONTROLS = dict.fromkeys([*range(0x09), 0x0B, *range(0x0E, 0x20), 0x7F])
# What may precede it, and how it ends.
SKIPPED = {"<!--": "-->", "<?xml": ">"}


def looks_like_html(text: str) -> bool:
    """Return whether a text is a page of HTML; text about HTML, or with a few tags, is not."""
    place = _skipped(text)
    return place < BEGINNING and START.match(text, place) is not None


def _skipped(text: str) -> int:
    """Return the offset of a text after white space, comments and the XML declaration; may exceed BEGINNING."""
    place = 0
    while place < BEGINNING:
        space = BEFORE.match(text, place)
        place = space.end() if space else place
        end = next((end for start, end in SKIPPED.items() if text[place : place + 5].lower().startswith(start)), None)
        if end is None:
            return place
        found = text.find(end, place)
        place = found + len(end) if found >= 0 else len(text) + BEGINNING
    return place


def extract_main_text(html: str, tags: int = 0) -> str:
    """Return the main text of a page, one paragraph per line, without navigation, readers' comments and footers.

    tags: number of tags. For pages with many, trafilatura's fallbacks are switched off: the time of justext is
    quadratic in the number of paragraphs.
    "" if there is no main text or the page cannot be parsed. Raise UserError if trafilatura is not installed.
    """
    extracted = _extractor()
    try:
        page = html[declaration.end() :] if (declaration := DECLARATION.match(html)) else html
        page = order_marks(page.translate(CONTROLS))
        return extracted(page, include_comments=False, fast=tags > MANY_TAGS) or ""
    except Exception:  # any exception of a parser: the page has no text
        return ""


@cache
def _extractor() -> Callable[..., str | None]:
    try:
        from trafilatura import extract as extractor
    except ImportError:
        raise UserError(f"extracting the text of web pages needs trafilatura: {install_extra('html')}") from None
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it logs each page without text
    return extractor
