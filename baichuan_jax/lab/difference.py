"""Differences between two texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import takewhile

TOKEN = re.compile(r"[A-Za-z0-9]+|\s+|.", re.DOTALL)  # a word, white space, or one character of anything else

Pieces = list[tuple[str, bool]]


def difference(first: str, second: str, around: int | None = None) -> tuple[Pieces, Pieces]:
    """Return each text as pieces (text, whether it is equal in both); the pieces concatenate to the text.

    around: if set, equal parts are shortened to this many characters beside each difference. For texts of a few
    thousand characters: the worst-case time is the product of their lengths.
    """
    blocks = _blocks(TOKEN.findall(first), TOKEN.findall(second))
    sides: tuple[Pieces, Pieces] = ([], [])
    for number, texts in enumerate(blocks):
        same = texts[0] == texts[1]
        for side, text in zip(sides, texts):
            if same and around is not None:
                text = _cut(text, around if number else 0, around if number < len(blocks) - 1 else 0)
            if text:
                side.append((text, same))
    return sides


def _blocks(a: Sequence[str], b: Sequence[str]) -> list[tuple[str, str]]:
    """Return the texts as alternating equal and different blocks (of the first, of the second)."""
    start = _equal(a, b)
    end = _equal(a[start:][::-1], b[start:][::-1])
    # SequenceMatcher leaves frequent characters alone, so equal ends are found beforehand.
    left, right = a[start : len(a) - end], b[start : len(b) - end]
    found = [(a[:start], b[:start])]
    found += [(left[i:j], right[k:m]) for _, i, j, k, m in SequenceMatcher(None, left, right).get_opcodes()]
    found.append((a[len(a) - end :], b[len(b) - end :]))
    return [("".join(one), "".join(other)) for one, other in found if one or other]


def _equal(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the number of equal tokens at the start."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b)))


def _cut(text: str, head: int, tail: int) -> str:
    """Replace the middle of a text by an ellipsis, if that makes it shorter."""
    return text if head + tail + 1 >= len(text) else f"{text[:head]}…{text[len(text) - tail :]}"
