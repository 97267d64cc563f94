"""Normalisation: different encodings of the same text become equal, and nothing else changes."""

from __future__ import annotations

import re
import unicodedata

from baichuan_jax.data.combining import order_marks
from baichuan_jax.data.rules.controls import C1, ODD, repair, without_lone_signs
from baichuan_jax.data.rules.entities import has_leftovers, unescape
from baichuan_jax.data.rules.list_marks import narrow, without_permalinks

# Radicals that look like ideographs, which text extracted from some documents contains instead of these.
RADICALS = (
    "⺎兀⺟母⺠民⺶羊⺼肉⻁虎⻄西⻅见⻆角⻉贝⻊足⻋车⻑長⻒镸⻓长⻔门⻗雨"
    "⻘青⻙韦⻚页⻛风⻜飞⻝食⻡首⻢马⻣骨⻤鬼⻥鱼⻦鸟⻧卤⻨麦⻩黄⻪黾⻫斉⻬齐⻭歯⻮齿⻯竜⻰龙⻱龜⻲亀⻳龟"
)
# Spaces and separators that some scripts need: a zero-width space separates words in scripts without spaces (Thai, Lao,
# Tibetan, Burmese, Khmer, Tai, Javanese); vowel separator and narrow space separate suffixes in Mongolian.
UNSPACED = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u19e0-\u1aaf\ua980-\ua9df\ua9e0-\ua9ff\uaa60-\uaadf"
MONGOLIAN = "\u1820-\u18aa"
CONTEXTUAL = "\u200b\u180e\u202f"
SCRIPTS = re.compile(f"[{UNSPACED}{MONGOLIAN}]")
SEPARATORS = re.compile(f"\u200b++|[{CONTEXTUAL}]")
IN_UNSPACED, IN_MONGOLIAN = re.compile(f"[{UNSPACED}]"), re.compile(f"[{MONGOLIAN}\u180b-\u180d\u180f]")


def _table() -> dict[int, str]:
    """Return the mapping of single characters. Full NFKC would also turn x² into x2 and ， into a comma."""
    table = {}
    # Compatibility forms that are the same letter: full-width A-Z a-z 0-9, half-width katakana,
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
# ASCII characters that become a line end, and those that are dropped.
ASCII = bytes(ord(TABLE.get(point) or chr(point)) for point in range(0x80)) + bytes(0x80)
CONTROLS = bytes(point for point in range(0x80) if TABLE.get(point) == "")
NUMBER_MARKS = "．："
BLANK_LINES = re.compile("\n{4,}")


def normalize(text: str, is_odd: bool | None = None) -> str:
    """Return the normal form of a text; normalising again changes nothing.

    Unicode NFC. Full-width letters, digits and symbols become half-width, radicals become ideographs, and all kinds of
    spaces and line ends become one kind. Control and invisible characters are dropped, but those that a script needs.
    C1 controls become the characters of windows-1252, and isolated private-use characters are dropped (`controls`).
    Spaces at line ends, more than two blank lines in a row, blank lines at the ends, and permalinks (`list_marks`) are
    removed. Leftover HTML entities are decoded (`entities`). Indentation, Chinese punctuation, superscripts, fractions
    and circled numbers stay. is_odd: whether the text has any of ODD, if that is known.
    """
    if is_odd is None:
        is_odd = ODD.search(text) is not None
    return without_leftovers(_layout(_characters(text, is_odd)))


def without_leftovers(text: str) -> str:
    """Return a normalised text with leftover entities decoded, normalised again."""
    # Leftovers are judged on the lines of the normal form, so that a second call decides equally.
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
    """Return the replacement of one of CONTEXTUAL, or of several zero-width spaces."""
    text, separator = found.string, found[0][0]
    before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
    if separator == "\u200b":
        in_words = before and after and not before.isspace() and not after.isspace()
        return separator if in_words and (IN_UNSPACED.match(before) or IN_UNSPACED.match(after)) else ""
    if IN_MONGOLIAN.match(before) and IN_MONGOLIAN.match(after):
        return separator
    return " " if separator == "\u202f" else ""


def _layout(text: str) -> str:
    """Return a text with uniform line ends, without surplus blank lines and spaces, and with half-width numbers."""
    # Searching for a plain string first makes the common case, no match, several times faster than the pattern.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    if "\n\n\n\n" in text:
        text = BLANK_LINES.sub("\n\n\n", text)
    text = without_permalinks(text.strip("\n"))  # first: what follows a number decides its role
    return narrow(text) if any(mark in text for mark in NUMBER_MARKS) else text
