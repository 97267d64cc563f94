"""Texts without some of their sentences."""

from __future__ import annotations

from collections.abc import Sequence

GAP, QUOTATION = " \t\n", ">"


def without(text: str, gone: Sequence[tuple[int, int]]) -> str:
    """Return a text without some parts, whose paragraphs still end where they did.

    gone: (start, characters) of each, in order; each with the white space behind it. Of the white space before a part
    and behind it, what has more line ends stays. No line ends are left around the text.
    """
    kept, gap, end = [], "", 0
    for start, size in gone:
        if start > end:
            body, behind = _split_gap(text[end:start])
            kept += [gap, body]
            gap = behind
        _, behind = _split_gap(text[start : start + size])
        gap = max(gap, behind, key=lambda white: white.count("\n"))
        end = start + size
    return "".join([*kept, gap, text[end:]]).strip("\n")


def _split_gap(piece: str) -> tuple[str, str]:
    """Return (a piece of text, the white space behind it); marks of quotation in mail count as that."""
    body = piece.rstrip(GAP + QUOTATION)
    behind = piece[len(body) :]
    body += behind[: len(behind) - len(behind.lstrip(QUOTATION))]
    return body, piece[len(body) :]
