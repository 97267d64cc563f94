"""Equal documents: what counts as the same text."""

from __future__ import annotations

from hashlib import blake2b


def text_hash(text: str) -> int:
    """Return 64 bits of a normalised text, its white space left out: a copy that wraps elsewhere is a copy."""
    return encoded_hash(text.encode())


def encoded_hash(text: bytes) -> int:
    """Return what `text_hash` does, of a text in UTF-8."""
    visible = text.translate(None, b" \t\n")  # there is no other white space in a normalised text
    return int.from_bytes(blake2b(visible, digest_size=8).digest(), "big")
