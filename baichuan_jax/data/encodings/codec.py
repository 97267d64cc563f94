"""Character encodings: the labels of the WHATWG Encoding Standard, and decoding with minimal loss.

The labels come from webencodings, the codecs from Python.
"""

from __future__ import annotations

import codecs
from functools import cache

import webencodings

from baichuan_jax.data.encodings.realign import DOUBLE_BYTE, realigned

UTF8 = "utf-8"
# Python's codecs that match browsers, where webencodings names one with fewer characters.
CODECS = {"gb18030": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949", "big5": "big5hkscs", "utf-16le": "utf-16-le"}
# "replacement" is the label of encodings that browsers refuse to decode.
NOT_DECODED = ("replacement", "x-user-defined")
MARKS = {codecs.BOM_UTF8: UTF8, codecs.BOM_UTF16_LE: "utf-16le", codecs.BOM_UTF16_BE: "utf-16be"}


@cache
def encoding_name(label: str) -> str | None:
    """Return the name of the encoding with a WHATWG label, "gb18030" for "GB2312"; None if there is none."""
    found = webencodings.lookup(label) if label.isascii() else None
    if found is None or found.name in NOT_DECODED:
        return None
    return "gb18030" if found.name == "gbk" else found.name  # the standard decodes both with the same table


def decode_text(raw: bytes, encoding: str) -> tuple[str, int]:
    """Return (text, number of U+FFFD that replace undecodable bytes). encoding: a name from `encoding_name`.

    A damaged byte of a double-byte encoding costs one character: the pairs after it are realigned. A plain decoder
    would read them one byte off, up to the next ASCII character.
    """
    codec = python_codec(encoding)
    try:
        return raw.decode(codec), 0
    except UnicodeDecodeError:
        pass
    text = raw.decode(codec, "replace")
    errors = text.count("\ufffd") - raw.decode(codec, "ignore").count("\ufffd")
    return realigned(raw, encoding, codec, text, errors) if encoding in DOUBLE_BYTE else (text, errors)


def python_codec(encoding: str) -> str:
    """Return the name of Python's codec for an encoding name from `encoding_name`."""
    return CODECS.get(encoding) or webencodings.lookup(encoding).codec_info.name


def split_byte_order_mark(raw: bytes) -> tuple[bytes, str | None]:
    """Return (the bytes without a byte order mark, its encoding or None)."""
    for mark, encoding in MARKS.items():
        if raw.startswith(mark):
            return raw[len(mark) :], encoding
    return raw, None
