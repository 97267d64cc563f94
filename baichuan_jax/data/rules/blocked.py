"""Blocked words: a list of words, compiled to one pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from baichuan_jax.core.errors import UserError


class BlockedWords:
    """Count words in texts, ignoring case.

    entries: words, or paths of files with one word per line; a path has a "/" or ends in .txt. Where a word begins or
    ends with A-Z a-z 0-9, no other such character may be adjacent; Chinese words match anywhere. Raise UserError if
    there is no such file, or it is not UTF-8.
    """

    def __init__(self, entries: Sequence[str]):
        words = {word.strip().lower() for entry in entries for word in _words(entry)} - {""}
        self._pattern = re.compile(_tree(words, "")) if words else None

    def count(self, text: str) -> int:
        """Return the number of blocked words in a text; of overlapping words the first counts."""
        return len(self._pattern.findall(text.lower())) if self._pattern else 0


def _words(entry: str) -> list[str]:
    if "/" not in entry and not entry.endswith(".txt"):
        return [entry]
    try:
        return Path(entry).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"FilterConfig.blocked_words: {entry!r} cannot be read as a UTF-8 word list: {error}") from None


def _tree(words: Iterable[str], before: str) -> str:
    """Return a pattern for any of the words that may follow `before`, a tree of characters, the longest word first.

    So thousands of words cost little more than ten: a character with which no word begins is skipped at once.
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
