"""Spans of text, and texts without them."""

from __future__ import annotations

from collections.abc import Sequence

WHITE, QUOTATION = " \t\n", ">"


def remove_spans(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return a text without some spans; paragraphs still end where they did.

    spans: (start, characters) of each, in order; each includes the white space after it. Of the white space before and
    after a span the one with more line ends stays. The result neither begins nor ends with a line end.
    """
    kept, gap, end = [], "", 0
    for start, size in spans:
        if start > end:
            body, behind = _split_gap(text[end:start])
            kept += [gap, body]
            gap = behind
        _, behind = _split_gap(text[start : start + size])
        gap = max(gap, behind, key=lambda white: white.count("\n"))
        end = start + size
    return "".join([*kept, gap, text[end:]]).strip("\n")


def _split_gap(piece: str) -> tuple[str, str]:
    """Return (a piece of text, the white space after it); the ">" of quotations in mail counts as white space."""
    body = piece.rstrip(WHITE + QUOTATION)
    behind = piece[len(body) :]
    body += behind[: len(behind) - len(behind.lstrip(QUOTATION))]
    return body, piece[len(body) :]
