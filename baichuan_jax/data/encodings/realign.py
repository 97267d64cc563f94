"""Decoding of damaged text in double-byte encodings: pairs of bytes are realigned after a damaged byte.

In GB18030, Big5, Shift_JIS, EUC-JP and EUC-KR a character is one ASCII byte or a pair. If the first byte of a pair is
lost, a plain decoder takes the second one for a first one, and reads a whole clause of wrong, rare characters without
an error. Here such a clause is divided into characters at minimal cost: common ones cost least, errors most.
"""

from __future__ import annotations

import re
from functools import cache

# First bytes of the common characters (kana, Hangul, the first level of ideographs) and of the less common.
DOUBLE_BYTE = {
    "gb18030": (((0xA1, 0xA3), (0xB0, 0xD7)), ((0xD8, 0xF7),)),
    "big5": (((0xA1, 0xA3), (0xA4, 0xC6)), ((0xC9, 0xF9),)),
    "shift_jis": (((0x81, 0x83), (0x88, 0x97)), ((0x98, 0x9F), (0xE0, 0xEA))),
    "euc-jp": (((0xA1, 0xA5), (0xB0, 0xCF)), ((0xD0, 0xF4),)),
    "euc-kr": (((0xA1, 0xA3), (0xB0, 0xC8)), ((0xCA, 0xFD),)),
}
SECOND_LEVEL_TRAIL = {"gb18030": 0xA1, "euc-kr": 0xA1}  # pairs with smaller second bytes are extensions, and rare
WIDER = {"big5": "cp950", "euc-jp": "euc_jis_2004"}  # codecs with some characters that the main one lacks
COMMON, UNCOMMON, RARE = 1, 2, 4  # costs
FAILURE, FAILURE_AT_EDGE = ("\ufffd", 8), ("\ufffd", 6)  # a byte damaged to ASCII parts a clause: half a pair is there
CLAUSE = re.compile(rb"[\x00-\x2f]+|[^\x00-\x2f]+")  # bytes below 0x30 are characters of their own in all of these
MOST = 1 << 20  # most bytes of damaged clauses: two seconds
DAMAGED = 0.1  # most errors per character; with more the text is not damaged but something else


def realigned(raw: bytes, encoding: str, codec: str, plain: str, errors: int) -> tuple[str, int]:
    """Return (text, number of U+FFFD inserted). encoding: of DOUBLE_BYTE; codec: Python's.

    plain: the text that the codec alone returns, and its number of errors; it is returned if there are too many.
    """
    if errors > max(2, DAMAGED * len(plain)):
        return plain, errors
    parts, replaced, looked_at = [], 0, 0
    for clause in CLAUSE.findall(raw):
        try:
            parts.append(clause.decode(codec))
        except UnicodeDecodeError:
            looked_at += len(clause)
            if looked_at > MOST:
                return plain, errors
            text, failures = _divided(clause, encoding, codec)
            parts.append(text)
            replaced += failures
    return "".join(parts), replaced


def _divided(clause: bytes, encoding: str, codec: str) -> tuple[str, int]:
    """Return (text, errors) of a clause, divided into characters at minimal cost."""
    pairs, size = _pairs(encoding, codec), len(clause)
    costs, steps, texts = [0] + [1 << 60] * size, [0] * (size + 1), [""] * (size + 1)
    for start, first in enumerate(clause):
        for length, text, cost in _characters(clause, start, first, pairs, codec):
            if costs[start] + cost < costs[start + length]:
                costs[start + length], steps[start + length], texts[start + length] = costs[start] + cost, length, text
    found, at = [], size
    while at:
        found.append(texts[at])
        at -= steps[at]
    return "".join(reversed(found)), found.count("\ufffd")


def _characters(
    clause: bytes, start: int, first: int, pairs: dict[int, tuple[str, int]], codec: str
) -> list[tuple[int, str, int]]:
    """Return (bytes, character, cost) of all characters that may begin at a place. U+FFFD is an error here."""
    if first < 0x80:
        return [(1, chr(first), UNCOMMON if first >= 0x40 and start and clause[start - 1] >= 0x80 else 0)]
    edge = start == 0 or start + 1 == len(clause)
    found = [(1, *pairs.get(first, FAILURE_AT_EDGE if edge else FAILURE))]
    second = clause[start + 1] if start + 1 < len(clause) else 0
    if pair := pairs.get(first << 8 | second):
        found.append((2, *pair))
    elif second >= 0x80:
        found.append((2, *FAILURE))
    length = 4 if codec == "gb18030" and 0x30 <= second <= 0x39 else 3 if first == 0x8F and codec == "euc_jp" else 0
    if length and (text := _decoded(clause[start : start + length], codec)):
        found.append((length, text, RARE))
    return found


@cache
def _pairs(encoding: str, codec: str) -> dict[int, tuple[str, int]]:
    """Return {first byte, or first byte << 8 | second: (character, cost)}."""
    found = {0x80: ("€", UNCOMMON)} if encoding == "gb18030" else {}
    for first in range(0x80, 0x100):
        for point, raw in ((first, bytes([first])), *((first << 8 | n, bytes([first, n])) for n in range(0x30, 0x100))):
            text = _decoded(raw, codec) or _decoded(raw, WIDER.get(encoding, codec))
            if text:
                found[point] = text, _cost(encoding, raw)
    return found


def _decoded(raw: bytes, codec: str) -> str | None:
    """Return the single character of bytes, None if there is none. A few of Big5 are two characters in Unicode."""
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError:
        return None
    return None if len(raw) == 2 and len(text) == 2 and text[-1].isascii() else text


def _cost(encoding: str, raw: bytes) -> int:
    common, uncommon = DOUBLE_BYTE[encoding]
    if len(raw) == 1:
        return UNCOMMON  # half-width katakana
    if raw[1] < SECOND_LEVEL_TRAIL.get(encoding, 0):
        return RARE
    if any(low <= raw[0] <= high for low, high in common):
        return COMMON
    return UNCOMMON if any(low <= raw[0] <= high for low, high in uncommon) else RARE
