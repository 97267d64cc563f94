"""Combining marks in canonical order, in linear time for any text.

Unicode orders the marks of a letter by class. Python's NFC does so by insertion, which is quadratic in their number:
25,000 pairs of an accent and a dot below take seconds. A long run is sorted here first, so that NFC has nothing to
insert.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

BEYOND = 0x20000  # no combining marks from here on
LONG = 32  # marks after a letter: no script has more (Unicode Standard Annex 15, stream-safe text, has 30)


def _is_mark(character: str) -> bool:
    """Return whether the decomposition of a character begins with a mark of a nonzero combining class."""
    return unicodedata.combining(unicodedata.normalize("NFD", character)[0]) > 0


def _class_of_marks() -> str:
    """Return the marks as the content of a character class of a pattern."""
    points = [point for point in range(BEYOND) if _is_mark(chr(point))]
    runs = [[point for _, point in run] for _, run in groupby(enumerate(points), lambda item: item[1] - item[0])]
    return "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in runs)


RUN = re.compile(f"[{_class_of_marks()}]{{{LONG},}}+")


def order_marks(text: str) -> str:
    """Return a text with the same normal form, with long runs of marks in canonical order."""
    return RUN.sub(_sorted, text)


def _sorted(run: re.Match) -> str:
    marks = "".join(unicodedata.normalize("NFD", mark) for mark in run[0])
    return "".join(sorted(marks, key=unicodedata.combining))  # stable: marks of one class keep their order
