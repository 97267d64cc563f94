"""Web pages: the main text of a page of HTML, extracted by trafilatura."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import cache

from baichuan_jax.core.errors import UserError

BEGINNING = 2000  # characters in which a page says that it is one
PAGE = re.compile(
    r"(?:<!--.*?-->|<\?xml[^>]*>|[\s\ufeff])*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)


def looks_like_html(text: str) -> bool:
    """Returns whether a text is a page of HTML; one that only speaks about HTML, or has a few tags, is none."""
    return PAGE.match(text[:BEGINNING]) is not None


def extract(html: str) -> str:
    """Returns the main text of a page, a paragraph a line, without navigation, comments of readers and footers.

    "" if there is none, or the page is too broken to tell. Raises UserError if trafilatura is absent.
    """
    extracted = _extractor()
    try:
        return extracted(html, include_comments=False) or ""
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
