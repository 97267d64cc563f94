"""Normalisation: different bytes for the same text become the same bytes, and nothing else changes."""

from __future__ import annotations

import re
import unicodedata


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
NUMBER_MARK = re.compile("(?<=[0-9])[．：](?=[0-9])")  # 1．29 and 20：00
LINE_END = re.compile(r"(?<![ \t])[ \t]+$", re.MULTILINE)
BLANK_LINES = re.compile("\n{4,}")


def normalize(text: str) -> str:
    """Returns the normal form of a text; normalising again changes nothing.

    Unicode NFC; full-width letters, digits and symbols to half-width; every kind of space and line end to one; control
    and invisible characters dropped; no spaces at line ends, at most two blank lines together, none at the ends.
    Indentation, Chinese punctuation, superscripts, fractions and circled numbers stay.
    """
    text = CHANGED.sub(_replace, text)
    text = unicodedata.normalize("NFC", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # Looking for a plain string first makes the common case, nothing to do, several times faster than the pattern.
    if "．" in text or "：" in text:
        text = NUMBER_MARK.sub(lambda mark: chr(ord(mark[0]) - 0xFEE0), text)
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        text = LINE_END.sub("", text)
    if "\n\n\n\n" in text:
        text = BLANK_LINES.sub("\n\n\n", text)
    return text.strip("\n")


def _replace(match: re.Match[str]) -> str:
    return match[0].translate(TABLE)
