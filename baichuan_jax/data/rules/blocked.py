"""Blocked words: a list of them, made into one pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from baichuan_jax.core.errors import UserError


class BlockedWords:
    """Counts words in texts, without case.

    entries: words, or paths of files with one word a line; a path has a "/" or ends in .txt. A word that begins or
    ends with A-Z a-z 0-9 is one only where no other such character goes before or follows; Chinese words stand
    anywhere. Raise UserError if there is no such file, or it is not UTF-8.
    """

    def __init__(self, entries: Sequence[str]):
        words = {word.strip().lower() for entry in entries for word in _words(entry)} - {""}
        self._pattern = re.compile(_tree(words, "")) if words else None

    def count(self, text: str) -> int:
        """Return how often blocked words stand in a text; of words that overlap, the first counts."""
        return len(self._pattern.findall(text.lower())) if self._pattern else 0


def _words(entry: str) -> list[str]:
    if "/" not in entry and not entry.endswith(".txt"):
        return [entry]
    try:
        return Path(entry).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"FilterConfig.blocked_words: {entry!r} is no UTF-8 file of words: {error}") from None


def _tree(words: Iterable[str], before: str) -> str:
    """Return a pattern for any of the words that may follow `before`, a tree of characters, the longest word first.

    Thousands of words cost little more than ten so: a character that no word begins with is passed at once.
    """
    branches: dict[str, list[str]] = {}
    for word in sorted(words, reverse=True):
        branches.setdefault(word[:1], []).append(word[1:])
    patterns = []
    for character, rests in branches.items():
        start = f"(?<![a-z0-9]{character})" if not before and _is_latin(character) else ""
        end = "(?![a-z0-9])" if _is_latin(before) else ""
        patterns.append(re.escape(character) + start + _tree(rests, character) if character else end)
    return patterns[0] if len(patterns) == 1 else f"(?:{'|'.join(patterns)})"


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()
