"""Marks after numbers: of lists ("1．3的倍数") or of decimals ("3．14"); and permalinks after headings."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

from baichuan_jax.data.rules.controls import ODD

NUMBER = re.compile("([0-9]++)([．：])([0-9]++(?:[．：][0-9]++)*+)")
HALF_WIDTH = str.maketrans("．：", ".:")
# Numbers of up to three digits where list numbers occur: at the beginning of a line, or after a space or sentence.
BEGINNINGS = " \t\n。；;：:！？）)"
LISTED = {mark: re.compile(rf"(?<![^{BEGINNINGS}])[0-9]{{1,3}}(?=[{mark}{half}、])") for mark, half in ("．.", "：:")}
# What follows values and amounts, but rarely the first number of a sentence.
VALUE = re.compile(
    r"[ \t]*+(?:[，。,;；、）)％%‰℃°+\-×*/=≈~～—\nA-Za-z]|\Z|[元角万亿千百倍米厘毫公克吨升斤里度秒分年岁]"
    r"|[美欧日]元|平方|立方|小时"
    r"|个百分|个月|是|约|为|左右|以[上下]|多)"
)
MOST_DIGITS, YEAR, MINUTES = 3, 4, 2

LONGEST = 120  # most characters of a heading
# Each begins with the mark itself, which is faster to search; what precedes it is matched by lookbehind.
LINKS = {
    "¶": re.compile(r"¶++(?=\n|\Z)"),
    "🔗": re.compile(r"🔗(?=\n|\Z)"),
    "#": re.compile(r"#(?<=[\w)）\]]#)(?<![^A-Za-z0-9_][A-Z]#)(?=\n|\Z)"),  # not "C#"
}
FEW = {"¶": 1, "🔗": 2, "#": 2}  # least headings that end with it; if fewer do, it may be intended
NOT_IN_HEADINGS = "，。"


def narrow(text: str) -> str:
    """Return a text with half-width marks in its numbers; the marks of list numbers stay.

    A number in the place of a list number is one if the preceding or the following number occurs too. At the beginning
    of a line it is one in any case, unless it begins a value or an amount.
    """

    @cache
    def listed(mark: str) -> Counter:
        return Counter(map(int, LISTED[mark].findall(text)))

    def half_width(number: re.Match) -> str:
        first, mark, rest = number.groups()
        begins = number.start() == 0 or text[number.start() - 1] in BEGINNINGS
        if begins and len(first) <= MOST_DIGITS and _is_listed(number, listed(mark)):
            return first + mark + rest.translate(HALF_WIDTH)
        return number[0].translate(HALF_WIDTH)

    return NUMBER.sub(half_width, text)


def _is_listed(number: re.Match, listed: Counter) -> bool:
    """Return whether the first mark of a number is that of a list. listed: {number: occurrences in list places}."""
    text, start, end = number.string, number.start(), number.end()
    place, mark, rest = int(number[1]), number[2], number[3]
    begins_line = start == 0 or text[start - 1] == "\n"
    follows = (place - 1 in listed or place + 1 in listed) and (begins_line or 1 in listed)
    if mark == "：":
        return follows and begins_line and len(rest) != MINUTES  # minutes have another length
    if not rest.isdecimal():
        # Sections 1．2．1 and 1．2．2 have a number in common.
        return follows and listed[place] == 1 and 1 in (listed[place - 1], listed[place + 1])
    if follows:
        return True
    is_year = len(rest) == YEAR and text.startswith("年", end)
    return begins_line and (is_year or not VALUE.match(text, end))


def without_permalinks(text: str) -> str:
    """Return a text without the permalink marks at the ends of headings in documentation: "¶", "🔗", "#"."""
    for mark, pattern in LINKS.items():
        if mark not in text:
            continue
        links = [link.span() for link in pattern.finditer(text) if _ends_heading(text, link.start(), mark)]
        if len(links) >= FEW[mark]:
            starts = [0, *(end for _, end in links)]
            text = "".join([*(text[a:b].removesuffix(" ") for a, (b, _) in zip(starts, links)), text[starts[-1] :]])
    return text


def _ends_heading(text: str, place: int, mark: str) -> bool:
    """Return whether a mark ends a line that may be a heading and has no other such mark."""
    start = text.rfind("\n", 0, place) + 1
    heading = text[start:place].removesuffix(" " if mark == "🔗" else "")
    if not 1 < len(heading) <= LONGEST or heading[-1].isspace() or heading[-1] in LINKS:
        return False
    if ODD.match(heading[-1]):  # without the mark it would be isolated at the end of its line, and removed
        return False
    return mark not in heading and not any(other in heading for other in NOT_IN_HEADINGS)
