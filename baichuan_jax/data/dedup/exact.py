"""Exact duplicates: the hash of a text by which they are found."""

from __future__ import annotations

from hashlib import blake2b


def text_hash(text: str) -> int:
    """Return a 64-bit hash of a normalised text without its white space, so that a rewrapped copy is equal."""
    return encoded_hash(text.encode())


def encoded_hash(text: bytes) -> int:
    """Return `text_hash` of a text in UTF-8."""
    visible = text.translate(None, b" \t\n")  # a normalised text has no other white space
    return int.from_bytes(blake2b(visible, digest_size=8).digest(), "big")
