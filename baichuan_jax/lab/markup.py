"""HTML that is escaped unless it was built here."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence

# Text may hold control characters (a sampled byte token can be one); HTML may not, so they become their pictures. No
# font has a glyph for characters of private use, or of no use yet; mojibake is full of them. They become \ue000.
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_HAN = re.compile(r"[\u3400-\u9fff]")
# What code has and prose does not: calls, comparisons, names with underscores, statements, lines that end in a bracket.
_CODE = re.compile(
    r"[a-z_]\w*\([^)\s]|[a-z]\w*\.[a-z_]\w*\(|[!=<>]=|->|[a-z]_[a-z]|__|[{};]$|^\s*(?:def|class|import|return|elif|#include)\b",
    re.ASCII | re.MULTILINE,
)
NO_GLYPH = ("Cn", "Co", "Cs")  # categories: not assigned, private use, surrogate
LONG = 30  # characters of a cell that may be broken into lines
_PER_SIGN = 60  # characters of code, at most, to every sign that it is


_TAG = re.compile(r"<cite>.*?</cite>|<[^>]*>", re.DOTALL)  # and the source of a quotation


class Html(str):
    """Markup. Any other string is text, and is escaped when it is put into markup."""


def escape(value: object) -> Html:
    """Return markup as it is and anything else as escaped text."""
    if isinstance(value, Html):
        return value
    text = str(value).translate(_CONTROLS)
    if not text.isprintable():
        text = "".join(map(_seen, text))
    return Html(html.escape(text))


def _seen(character: str) -> str:
    if unicodedata.category(character) not in NO_GLYPH:
        return character
    return f"\\u{ord(character):04x}" if ord(character) < 2**16 else f"\\U{ord(character):08x}"


def join(parts: Iterable[object], separator: str = "") -> Html:
    """Return the concatenated parts, escaped."""
    return Html(separator.join(map(escape, parts)))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """Return an element. A trailing underscore in an attribute's name is dropped: class_, for_."""
    written = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def table(caption: str, head: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """Return a table that scrolls inside its own box; the first cell of a row names it, the others are numbers."""
    header = tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head)))
    body = (tag("tr", tag("th", row[0], scope="row"), *map(_cell, row[1:])) for row in rows)
    whole = tag("table", tag("caption", caption), header, tag("tbody", *body))
    return tag("div", whole, class_="scroll", role="region", tabindex=0, **{"aria-label": caption})


def _cell(cell: object) -> Html:
    return tag("td", cell, class_="long") if len(str(cell)) > LONG else tag("td", cell)


def details(summary: object, *children: object) -> Html:
    """Return a folded part."""
    return tag("details", tag("summary", summary), *children)


def prose(*children: object) -> Html:
    """Return quoted text, whitespace kept, code in a monospaced font.

    Chinese is marked as such so that browsers choose Chinese glyphs.
    """
    content = join(children)
    kind = "text code" if is_code(html.unescape(_TAG.sub("", content))) else "text"
    return tag("p", content, class_=kind, **({"lang": "zh-Hans"} if _HAN.search(content) else {}))


def is_code(text: str) -> bool:
    """Return whether a text looks like a program: it has two signs or more, and they are dense."""
    signs = len(_CODE.findall(text))
    return signs >= 2 and signs * _PER_SIGN >= len(text)
