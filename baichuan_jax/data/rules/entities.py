"""HTML entities that a careless extraction left in a text, distinguished from intended ones."""

from __future__ import annotations

import html
import re

from baichuan_jax.data.language import is_code

NAMES = "nbsp|amp|lt|gt|quot|apos|[lr][sd]quo|[mn]dash|hellip|middot|bull|copy|reg"
ENTITY = re.compile(f"&(?:{NAMES}|#[0-9]{{2,5}}|#x[0-9a-fA-F]{{2,4}});")
# An ampersand that was escaped repeatedly: one pass would remove one "amp;", and there may be thousands.
CHAIN = re.compile("&(?:(?:amp|#0{0,3}38|#[xX]0{0,2}26);){2,}+")
FEW = 3
# Text about markup: tags, plain or escaped; the names of such languages; entities in quotes or backticks.
MARKUP = re.compile(
    r"<[a-zA-Z/!?]|&lt;[a-zA-Z/!?]|[`\"'“‘「]&#?\w+;[`\"'”’」]|\bX?HTML\b|\bXML\b|\bentit(?:y|ies)\b|实体",
    re.IGNORECASE,
)


def has_leftovers(text: str) -> bool:
    """Return whether a text has several entities, and nothing suggests that they are intended.

    A text about HTML contains `&lt;` on purpose, and so does code. Such a text has tags, mentions HTML or XML, or
    quotes its entities.
    """
    if len(ENTITY.findall(text)) < FEW:
        return False
    return not MARKUP.search(text) and not is_code(text)


def unescape(text: str) -> str:
    """Return a text with its entities decoded; `&copy=1` in a URL is not an entity.

    An ampersand that was escaped several times keeps one escape.
    """
    text = CHAIN.sub("&amp;", text)
    return ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
