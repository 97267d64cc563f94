"""Normalisation: different bytes for the same text become the same bytes, and nothing else changes."""

from __future__ import annotations

import re
import unicodedata

from baichuan_jax.data.rules.entities import has_leftovers, unescape


def _table() -> dict[int, str]:
    """Returns what single characters become. NFKC as a whole would also turn x² into x2 and ， into a comma."""
    table = {}
    # Compatibility forms that are another spelling of the same letter: full-width A-Z a-z 0-9, half-width katakana,
    # Latin ligatures.
    for first, last in (("０", "９"), ("Ａ", "Ｚ"), ("ａ", "ｚ"), ("｡", "ﾟ"), ("ﬀ", "ﬆ")):
        for point in range(ord(first), ord(last) + 1):
            table[point] = unicodedata.normalize("NFKC", chr(point))
    # Full-width symbols that are not Chinese punctuation.
    table |= {ord(wide): chr(ord(wide) - 0xFEE0) for wide in "＂＃＄％＆＇＊＋－／＜＝＞＠＼＾＿｀｜"}
    spaces = [0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]
    table |= dict.fromkeys(spaces, " ")
    table |= dict.fromkeys(map(ord, "\v\f\x1c\x1d\x1e\x85\u2028\u2029"), "\n")
    controls = {*range(0x20), *range(0x7F, 0xA0)} - set(map(ord, "\t\n\r")) - table.keys()
    # Soft hyphen, zero-width space, word joiner, byte order mark, direction overrides. Zero-width (non-)joiners stay:
    # emoji and Persian need them.
    invisible = [0x00AD, 0x180E, 0x200B, 0x2060, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    table |= dict.fromkeys([*controls, *invisible], "")
    return table


TABLE = _table()
CHANGED = re.compile(f"[{''.join(re.escape(chr(point)) for point in TABLE)}]+")
# Of ASCII: what becomes a line end, and what is dropped.
ASCII = bytes(ord(TABLE.get(point) or chr(point)) for point in range(0x80)) + bytes(0x80)
CONTROLS = bytes(point for point in range(0x80) if TABLE.get(point) == "")
NUMBER_MARKS = {mark: re.compile(f"{mark}(?<=[0-9].)(?=[0-9])") for mark in "．："}  # 1．29 and 20：00
BLANK_LINES = re.compile("\n{4,}")


def normalize(text: str) -> str:
    """Returns the normal form of a text; normalising again changes nothing.

    Unicode NFC; full-width letters, digits and symbols to half-width; every kind of space and line end to one; control
    and invisible characters dropped; no spaces at line ends, at most two blank lines together, none at the ends; and
    the characters that HTML entities stand for, where they are left over (`entities`). Indentation, Chinese
    punctuation, superscripts, fractions and circled numbers stay.
    """
    return without_leftovers(_layout(_characters(text)))


def without_leftovers(text: str) -> str:
    """Returns the normal form of a text, entities aside, with the characters that those left over stand for."""
    # Whether entities are left over is judged by the lines of the normal form, so that a second call judges alike.
    while "&" in text and has_leftovers(text):
        text = _layout(_characters(unescape(text)))
    return text


def _characters(text: str) -> str:
    if text.isascii():
        raw = text.encode()
        clean = raw.translate(ASCII, CONTROLS)
        return text if clean == raw else clean.decode()
    return unicodedata.normalize("NFC", CHANGED.sub(lambda match: match[0].translate(TABLE), text))


def _layout(text: str) -> str:
    """Returns a text with one kind of line end, none of its blank lines and spaces too many, and half-width numbers."""
    # Looking for a plain string first makes the common case, nothing to do, several times faster than the pattern.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    for mark, in_number in NUMBER_MARKS.items():
        if mark in text:
            text = in_number.sub(chr(ord(mark) - 0xFEE0), text)
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    if "\n\n\n\n" in text:
        text = BLANK_LINES.sub("\n\n\n", text)
    return text.strip("\n")
