"""Normalisation: different bytes for the same text become the same bytes, and nothing else changes."""

from __future__ import annotations

import re
import unicodedata

from baichuan_jax.data.combining import order_marks
from baichuan_jax.data.rules.controls import C1, ODD, repair, without_lone_signs
from baichuan_jax.data.rules.entities import has_leftovers, unescape
from baichuan_jax.data.rules.list_marks import narrow, without_permalinks

# Radicals that look like ideographs, which some documents are full of once text is taken out of their pages.
RADICALS = (
    "⺎兀⺟母⺠民⺶羊⺼肉⻁虎⻄西⻅见⻆角⻉贝⻊足⻋车⻑長⻒镸⻓长⻔门⻗雨"
    "⻘青⻙韦⻚页⻛风⻜飞⻝食⻡首⻢马⻣骨⻤鬼⻥鱼⻦鸟⻧卤⻨麦⻩黄⻪黾⻫斉⻬齐⻭歯⻮齿⻯竜⻰龙⻱龜⻲亀⻳龟"
)
# Spaces and separators that some scripts need: a zero-width space parts words where no spaces do (Thai, Lao, Tibetan,
# Burmese, Khmer, Tai, Javanese); vowel separator and narrow space part suffixes in Mongolian.
UNSPACED = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u19e0-\u1aaf\ua980-\ua9df\ua9e0-\ua9ff\uaa60-\uaadf"
MONGOLIAN = "\u1820-\u18aa"
CONTEXTUAL = "\u200b\u180e\u202f"
SCRIPTS = re.compile(f"[{UNSPACED}{MONGOLIAN}]")
SEPARATORS = re.compile(f"\u200b++|[{CONTEXTUAL}]")
IN_UNSPACED, IN_MONGOLIAN = re.compile(f"[{UNSPACED}]"), re.compile(f"[{MONGOLIAN}\u180b-\u180d\u180f]")


def _table() -> dict[int, str]:
    """Return what single characters become. NFKC as a whole would also turn x² into x2 and ， into a comma."""
    table = {}
    # Compatibility forms that are another spelling of the same letter: full-width A-Z a-z 0-9, half-width katakana,
    # Latin ligatures.
    for first, last in (("０", "９"), ("Ａ", "Ｚ"), ("ａ", "ｚ"), ("｡", "ﾟ"), ("ﬀ", "ﬆ")):
        for point in range(ord(first), ord(last) + 1):
            table[point] = unicodedata.normalize("NFKC", chr(point))
    # Full-width symbols that are not Chinese punctuation.
    table |= {ord(wide): chr(ord(wide) - 0xFEE0) for wide in "＂＃＄％＆＇＊＋－／＜＝＞＠＼＾＿｀｜"}
    table |= {point: unicodedata.normalize("NFKC", chr(point)) for point in range(0x2F00, 0x2FD6)}  # radicals
    table |= {ord(radical): ideograph for radical, ideograph in zip(RADICALS[::2], RADICALS[1::2])}
    spaces = [0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]
    table |= dict.fromkeys(spaces, " ")
    table |= dict.fromkeys(map(ord, "\v\f\x1c\x1d\x1e\x85\u2028\u2029"), "\n")
    controls = {*range(0x20), *range(0x7F, 0xA0)} - set(map(ord, "\t\n\r")) - table.keys()
    # Soft hyphen, zero-width space, word joiner, byte order mark, direction overrides. Zero-width (non-)joiners stay:
    # emoji, Persian and Indic scripts need them.
    invisible = [0x00AD, 0x180E, 0x200B, 0x2060, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    table |= dict.fromkeys([*controls, *invisible], "")
    return table


TABLE = _table()
CHANGED = re.compile(f"[{''.join(re.escape(chr(point)) for point in TABLE if chr(point) not in CONTEXTUAL)}]+")
# Of ASCII: what becomes a line end, and what is dropped.
ASCII = bytes(ord(TABLE.get(point) or chr(point)) for point in range(0x80)) + bytes(0x80)
CONTROLS = bytes(point for point in range(0x80) if TABLE.get(point) == "")
NUMBER_MARKS = "．："
BLANK_LINES = re.compile("\n{4,}")


def normalize(text: str, is_odd: bool | None = None) -> str:
    """Return the normal form of a text; normalising again changes nothing.

    Unicode NFC; full-width letters, digits and symbols to half-width; radicals to ideographs; every kind of space and
    line end to one; control and invisible characters dropped, but those that a script needs; what windows-1252 has
    instead of control characters, and no lone private-use characters (`controls`); no spaces at line ends, at most two
    blank lines together, none at the ends; no permalinks (`list_marks`); and the characters that HTML entities stand
    for, where they are left over (`entities`). Indentation, Chinese punctuation, superscripts, fractions and circled
    numbers stay. is_odd: whether the text has any of ODD, if that is known.
    """
    if is_odd is None:
        is_odd = ODD.search(text) is not None
    return without_leftovers(_layout(_characters(text, is_odd)))


def without_leftovers(text: str) -> str:
    """Return the normal form of a text, entities aside, with the characters that those left over stand for."""
    # Whether entities are left over is judged by the lines of the normal form, so that a second call judges alike.
    while "&" in text and has_leftovers(text):
        text = unescape(text)
        text = _layout(_characters(text, ODD.search(text) is not None))
    return text


def _characters(text: str, is_odd: bool) -> str:
    if text.isascii():
        raw = text.encode()
        clean = raw.translate(ASCII, CONTROLS)
        return text if clean == raw else clean.decode()
    if is_odd and C1.search(text):
        text = repair(text)
    text = CHANGED.sub(lambda match: match[0].translate(TABLE), text)
    if any(separator in text for separator in CONTEXTUAL):
        text = SEPARATORS.sub(_separator, text)
    return unicodedata.normalize("NFC", order_marks(without_lone_signs(text) if is_odd else text))


def _separator(found: re.Match) -> str:
    """Return what becomes of one of CONTEXTUAL, or of several zero-width spaces."""
    text, separator = found.string, found[0][0]
    before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
    if separator == "\u200b":
        in_words = before and after and not before.isspace() and not after.isspace()
        return separator if in_words and (IN_UNSPACED.match(before) or IN_UNSPACED.match(after)) else ""
    if IN_MONGOLIAN.match(before) and IN_MONGOLIAN.match(after):
        return separator
    return " " if separator == "\u202f" else ""


def _layout(text: str) -> str:
    """Return a text with one kind of line end, none of its blank lines and spaces too many, and half-width numbers."""
    # Looking for a plain string first makes the common case, nothing to do, several times faster than the pattern.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    if "\n\n\n\n" in text:
        text = BLANK_LINES.sub("\n\n\n", text)
    text = without_permalinks(text.strip("\n"))  # first: what follows a number tells whether it is of a list
    return narrow(text) if any(mark in text for mark in NUMBER_MARKS) else text
