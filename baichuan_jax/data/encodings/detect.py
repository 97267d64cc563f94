"""Detection of the encoding of bytes: UTF-8 (perhaps damaged), UTF-16, or what chardetng detects.

chardetng is the detector of Firefox. Of samples of 20 to 5,000 characters in nine languages it knew the encoding more
often than charset-normalizer, chardet 7 and uchardet, and it is the fastest (experiments/LOG.md, 2026-11-29).
"""

from __future__ import annotations

import re

from baichuan_jax.data.encodings.codec import UTF8, decode_text, encoding_name, python_codec, split_byte_order_mark
from baichuan_jax.data.encodings.realign import DOUBLE_BYTE

AUTO = "auto"
UTF16 = ("utf-16le", "utf-16be")
WINDOW = 1 << 18  # bytes examined, from the first that is not ASCII
NOT_ASCII = re.compile(rb"[\x80-\xff]")
SURELY = 4  # bytes of whole UTF-8 characters for each other byte: no text in another encoding has so many
FEW = 0.02  # share of damaged characters allowed in a double-byte encoding, of those that are not ASCII
# Least shares of UTF-16 code units: with a common high byte; with a NUL there, if the text is in Latin script.
USUAL, LATIN = 0.98, 0.2
# High bytes of UTF-16 code units in text in Chinese, Japanese or a European language.
UTF16_HIGH = frozenset((*range(0x05), 0x20, 0x30, *range(0x4E, 0xA0), *range(0xD8, 0xE0), 0xFF))


def settle_encoding(raw: bytes, encoding: str) -> tuple[bytes, str]:
    """Return (the bytes without a byte order mark, their encoding): that of the mark, else the given or detected one.

    encoding: a name, or AUTO.
    """
    raw, said = split_byte_order_mark(raw)
    return raw, said or (detect_encoding(raw) if encoding == AUTO else encoding)


def detect_encoding(raw: bytes) -> str:
    """Return the detected encoding of bytes, a name as from `codec.encoding_name`."""
    if wide := utf16(raw[:WINDOW]):
        return wide
    try:
        raw.decode()
        return UTF8
    except UnicodeDecodeError:
        pass
    window = _window(raw)
    whole = len(window.decode(UTF8, "ignore").encode()) - _ascii(window)
    broken = len(window) - _ascii(window) - whole
    if whole >= SURELY * broken:
        return UTF8
    guess = _guess(window)
    if guess in DOUBLE_BYTE and not decode_text(window, guess)[1]:
        return guess
    if whole >= broken:
        return UTF8
    return _damaged(window) or guess


def _damaged(window: bytes) -> str | None:
    """Return the double-byte encoding of slightly damaged bytes; None if there is none.

    chardetng rules out an encoding at its first error. So the text is given to it again without the bytes that an
    encoding cannot decode; if it then detects this encoding, that is the one.
    """
    errors = {encoding: decode_text(window, encoding)[1] for encoding in DOUBLE_BYTE}
    return next((encoding for encoding in sorted(errors, key=errors.get) if consistent(window, encoding)), None)


def consistent(raw: bytes, encoding: str) -> bool:
    """Return whether bytes, except a few, are valid text in a double-byte encoding."""
    window = _window(raw)
    text, errors = decode_text(window, encoding)
    clean = text.replace("\ufffd", "").encode(python_codec(encoding), "ignore")
    return errors <= max(2, FEW * (len(window) - _ascii(window)) / 2) and _guess(clean) == encoding


def _window(raw: bytes) -> bytes:
    """Return the part of the bytes to examine; it splits no character of an ASCII-compatible encoding."""
    first = NOT_ASCII.search(raw)
    start = max(0, first.start() - 100) if first else 0
    window = raw[start : start + WINDOW]
    if start + WINDOW < len(raw):
        boundaries = [window.rfind(bytes([mark])) for mark in b'\n <"']
        window = window[: max(boundaries) + 1] or window
    return window


def _ascii(raw: bytes) -> int:
    return len(raw) - len(raw.translate(None, bytes(range(0x80))))


def _guess(raw: bytes) -> str:
    """Return the encoding that chardetng detects."""
    from chardetng_py import EncodingDetector

    detector = EncodingDetector()
    detector.feed(raw, last=True)
    return encoding_name(detector.guess(tld=None, allow_utf8=True)) or UTF8


def is_utf16(encoding: str) -> bool:
    """Return whether an encoding is UTF-16, which is not ASCII-compatible."""
    return encoding in UTF16


def utf16(raw: bytes) -> str | None:
    """Return "utf-16le" or "utf-16be" if bytes begin in it, else None.

    Without a byte order mark it is recognised by ASCII characters, each with a NUL, and by the other high bytes.
    """
    if said := split_byte_order_mark(raw)[1]:
        return said if is_utf16(said) else None
    if len(raw) % 2:
        return None
    for encoding, high, low in zip(UTF16, (raw[1::2], raw[::2]), (raw[::2], raw[1::2])):
        nuls = high.count(0)
        usual = nuls > 4 * low.count(0) and sum(map(high.count, UTF16_HIGH)) >= USUAL * len(high)
        if usual and (nuls >= LATIN * len(high) or not low.isascii()):
            return encoding
    return None
