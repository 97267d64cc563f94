"""Encodings that no one states."""

import time

import pytest

from baichuan_jax.data.encodings.codec import python_codec
from baichuan_jax.data.encodings.detect import AUTO, detect_encoding, settle_encoding
from tests.data.encodings.test_codec import TEXTS

SAME = {"koi8-r": "koi8-u"}  # knows all of its characters at the same places


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("around", ["{}", "<html><head><title>A page</title><body><p>{}</p>", '{{"text": "{}"}}\n'])
def test_encodings_are_told(encoding, around):
    raw = around.format(TEXTS[encoding]).encode(python_codec(encoding))
    assert detect_encoding(raw) == SAME.get(encoding, encoding)


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "shift_jis", "windows-1251", "utf-8"])
def test_a_damaged_byte_changes_no_encoding(encoding):
    raw = (TEXTS[encoding] * 3).encode(python_codec(encoding))
    for place in range(0, len(raw), 7):
        assert detect_encoding(raw[:place] + b"\xff" + raw[place + 1 :]) == encoding, place


def test_utf8_stays_utf8():
    text = "今天天气很好，我们去公园散步。" * 20
    assert detect_encoding(text.encode()) == "utf-8"
    assert detect_encoding(text.encode() + b"\xff\xfe\xc3") == "utf-8"
    assert detect_encoding(text.encode()[:-1]) == "utf-8"
    assert detect_encoding(b"plain words, NUL\0, and more of them") == "utf-8"
    assert detect_encoding(b"bush hid the facts") == "utf-8"
    assert detect_encoding(b"") == detect_encoding(b"\0") == "utf-8"


def test_marks_and_given_encodings_come_first():
    assert settle_encoding(b"\xff\xfea\0", AUTO) == (b"a\0", "utf-16le")
    assert settle_encoding(b"\xef\xbb\xbfa", "gb18030") == (b"a", "utf-8")
    assert settle_encoding("很好".encode("gb18030"), "gb18030")[1] == "gb18030"


@pytest.mark.parametrize("raw", [b"\xff", b"\x80\x30", b"a\xff", b"\xa1", b"\xe4\xb8", bytes(range(256)), b"<" * 9])
def test_time_is_bounded(raw):
    start = time.process_time()
    detect_encoding(raw * (100_000 // len(raw)))
    assert time.process_time() - start < 5
