"""Repair of windows-1252 and UTF-8 that were decoded as Latin-1, and removal of meaningless characters.

Bytes 0x80 to 0x9F are quotes and dashes in windows-1252 and control characters in Latin-1, the C1 controls. No text
needs these, so where they occur the wrong table was used.
"""

from __future__ import annotations

import re

ODD = re.compile("[\x80-\x9f\ue000-\uf8ff\ufffd]")  # texts without any need no repair
C1 = re.compile("[\x80-\x9f]")
RUN = re.compile("[\x80-\xff]+")
UNDEFINED = re.compile("[\x81\x8d\x8f\x90\x9d]")  # in windows-1252
NEXT_LINE = "\x85"  # a line end, or "…" in windows-1252
TRAILS_OFF = re.compile("\x85(?=[\\s\"'”’»)\\]?!.,;]|\\Z)")
WINDOWS = {point: bytes([point]).decode("cp1252", "replace") for point in range(0x80, 0xA0)}
# Bullets and ticks of the symbol fonts of word processors, which keep their glyphs among private-use characters; and a
# space that tables of GBK put there.
GLYPHS = str.maketrans("\uf0b7\uf06c\uf06e\uf0a7\uf0d8\uf076\uf0fc", "•●■▪➢❖✓")
GLYPH = re.compile("[\uf0b7\uf06c\uf06e\uf0a7\uf0d8\uf076\uf0fc](?<!\\S.)(?=[ \t\\w])")
# U+FFFD and characters of icon fonts, with the blank after them; and icons at the end of a line.
SIGNS = re.compile("[\ue000-\uf8ff\ufffd]++[ \t]?")
LAST = re.compile("[\uf000-\uf8ff]++(?=[ \t]*+(?:[\r\n]|\\Z))")


def repair(text: str) -> str:
    """Return a text with its C1 controls replaced by the characters that were meant.

    If UTF-8 was decoded as Latin-1, every run of such characters is UTF-8. What is not windows-1252 either stays.
    """
    try:
        return RUN.sub(lambda run: run[0].encode("latin-1").decode("utf-8"), text)
    except UnicodeDecodeError:
        pass
    if UNDEFINED.search(text):
        return text
    if set(C1.findall(text)) == {NEXT_LINE}:
        return TRAILS_OFF.sub("…", text)
    return text.translate(WINDOWS)


def count_repaired(text: str) -> int:
    """Return how many characters `repair` replaces in a text."""
    controls = len(C1.findall(text))
    return controls - len(C1.findall(repair(text))) if controls else 0


def without_lone_signs(text: str) -> str:
    """Return a text without isolated private-use characters and U+FFFD, and with bullets for those of symbol fonts.

    Characters of icon fonts are also removed at the end of a line.
    """
    text = SIGNS.sub(_without_lone, _with_bullets(text.replace("\ue5e5", " ")))
    return LAST.sub("", _with_bullets(text))


def _without_lone(signs: re.Match) -> str:
    text, start, end = signs.string, signs.start(), signs.end()
    begins = start == 0 or text[start - 1].isspace()
    return "" if begins and (end == len(text) or text[end - 1].isspace() or text[end].isspace()) else signs[0]


def _with_bullets(text: str) -> str:
    return GLYPH.sub(lambda glyph: glyph[0].translate(GLYPHS), text)
