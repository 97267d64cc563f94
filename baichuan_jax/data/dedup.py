"""Exact duplicates: the first of equal texts stays."""

from __future__ import annotations

from hashlib import blake2b


def text_hash(text: str) -> int:
    """Returns 64 bits of a normalised text, its white space left out: a copy that wraps elsewhere is a copy."""
    return int.from_bytes(blake2b("".join(text.split()).encode(), digest_size=8).digest(), "big")


class Seen:
    """The hashes met so far; some 70 bytes each."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()

    def add(self, key: int) -> bool:
        """Returns True if `key` is new."""
        before = len(self._hashes)
        self._hashes.add(key)
        return len(self._hashes) > before
