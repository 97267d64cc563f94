"""The nearest known name to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, options: Iterable[str]) -> str | None:
    """Return the option most like `word`, letter case aside, or None if none is close."""
    by_lower = {option.lower(): option for option in options}
    close = get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest option, or "" if none is close."""
    guess = nearest(word, options)
    return f"; did you mean {guess!r}?" if guess else ""
