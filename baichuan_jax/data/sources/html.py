"""Web pages: the main text of a page of HTML, extracted by trafilatura."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import cache

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.combining import order_marks

BEGINNING = 2000  # characters in which a page says that it is one
BEFORE = re.compile(r"[\s\ufeff]+")
START = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
# lxml refuses text that says which bytes it once was, and stops at a NUL.
DECLARATION = re.compile(r"\s*<\?xml\b[^>]*>", re.IGNORECASE)
MANY_TAGS = 1500
CONTROLS = dict.fromkeys([*range(0x09), 0x0B, *range(0x0E, 0x20), 0x7F])
# What may stand before it, and how it ends.
SKIPPED = {"<!--": "-->", "<?xml": ">"}


def looks_like_html(text: str) -> bool:
    """Return whether a text is a page of HTML; one that only speaks about HTML, or has a few tags, is none."""
    place = _skipped(text)
    return place < BEGINNING and START.match(text, place) is not None


def _skipped(text: str) -> int:
    """Return where a text begins after white space, comments and the declaration of XML; BEGINNING or more if late."""
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
    """Return the main text of a page, a paragraph a line, without navigation, comments of readers and footers.

    tags: how many it has. Of a page with many the second opinions that trafilatura asks for are left out: justext takes
    time in the square of its paragraphs.
    "" if there is none, or the page is too broken to tell. Raise UserError if trafilatura is absent.
    """
    extracted = _extractor()
    try:
        page = html[declaration.end() :] if (declaration := DECLARATION.match(html)) else html
        page = order_marks(page.translate(CONTROLS))
        return extracted(page, include_comments=False, fast=tags > MANY_TAGS) or ""
    except Exception:  # whatever a parser says of a broken page, the page has no text
        return ""


@cache
def _extractor() -> Callable[..., str | None]:
    try:
        from trafilatura import extract as extractor
    except ImportError:
        raise UserError("the text of web pages is extracted by trafilatura: pip install -e '.[html]'") from None
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it reports each page without text
    return extractor
