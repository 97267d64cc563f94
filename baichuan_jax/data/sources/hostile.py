"""Web pages that a parser would take minutes for, or truncate silently: detected before they are parsed.

The limits come from timing trafilatura and lxml on made-up pages (experiments/LOG.md, 2026-11-29): up to them a page of
100 kB takes less than a second. The maxima of 103 real pages are far below them: 4,487 tags, 66 characters a tag, 51
deep, 96 attributes in a tag.
"""

from __future__ import annotations

import re
from collections import Counter

DEPTH = 200  # nested elements; libxml2 drops what is deeper than 256
TAGS, DENSE_TAGS, DENSE = 100_000, 10_000, 20  # of a page; of a page with fewer characters than DENSE for each tag
IN_A_ROW = 5_000  # inline elements with no block between them: the time of libxml2 is quadratic in their number
ATTRIBUTES, LONG = 500, 1000  # of a tag; characters of a tag whose attributes are counted
TAG = re.compile(r"<(?:(/?)([a-z][a-z0-9:-]*)|!--|[!?])")
VALUE = re.compile(r"\"[^\"]*\"|'[^']*'")
# Elements without an end tag, or whose end tag is often omitted: they are nested only with others between them.
FLAT = frozenset(
    "area base br col embed frame hr img input link meta param source track wbr "
    "body dd dt head html li option p rp rt tbody td tfoot th thead tr".split()
)
INLINE = frozenset(
    "a abbr b bdi bdo big br button cite code data del dfn em font i img input ins kbd label mark q s samp small span "
    "strike strong sub sup time tt u var wbr".split()
)
RAW = ("script", "style", "textarea", "title", "noscript")  # elements in which "<" does not begin a tag


def scan_markup(page: str) -> tuple[int, str]:
    """Return (number of tags, the limit that a page of HTML exceeds or ""), in one scan, linear in its length."""
    lowered = page.lower()
    open_elements: Counter[str] = Counter()
    place = tags = depth = row = 0
    while match := TAG.search(lowered, place):
        closing, name = match[1], match[2]
        place = lowered.find("-->" if match[0] == "<!--" else ">", match.end()) + 1
        if not place:  # no end: a browser shows nothing of the rest
            break
        if not name:
            continue
        row = row + (not closing) if name in INLINE else 0
        if row > IN_A_ROW:
            return tags, f"more than {IN_A_ROW:,} inline elements in a row"
        if closing:
            depth -= open_elements[name] > 0
            open_elements[name] -= open_elements[name] > 0
            continue
        tags += 1
        if place - match.start() > LONG and _attributes(lowered[match.start() : place]) > ATTRIBUTES:
            return tags, f"a tag with more than {ATTRIBUTES} attributes"
        if name in RAW:
            place = lowered.find(f"</{name}", place)
            if place < 0:
                break
        elif name not in FLAT and lowered[place - 2] != "/":
            open_elements[name] += 1
            depth += 1
            if depth > DEPTH:
                return tags, f"elements more than {DEPTH} deep"
    if tags > TAGS:
        return tags, f"more than {TAGS:,} tags"
    if tags > DENSE_TAGS and len(page) < DENSE * tags:
        return tags, f"more than {DENSE_TAGS:,} tags, and fewer than {DENSE} characters for each"
    return tags, ""


def _attributes(tag: str) -> int:
    """Return the number of attributes of a tag, and its name."""
    return len(VALUE.sub("x", tag).split())
