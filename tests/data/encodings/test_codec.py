"""Labels as browsers know them, and text that loses no more than the character a byte was damaged in."""

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from baichuan_jax.data.encodings.codec import decode_text, encoding_name, python_codec, split_byte_order_mark

TEXTS = {
    "gb18030": "春天的公园里有很多老人在散步，孩子们放风筝。大家都说今年的花开得特别好，湖边的柳树也绿了。",
    "big5": "春天的公園裡有很多老人在散步，孩子們放風箏。大家都說今年的花開得特別好，湖邊的柳樹也綠了。",
    "shift_jis": "春の公園では多くの老人が散歩をしていて、子供たちは凧をあげています。今年の花はとてもきれいです。",
    "euc-jp": "春の公園では多くの老人が散歩をしていて、子供たちは凧をあげています。今年の花はとてもきれいです。",
    "euc-kr": "봄의 공원에는 많은 노인들이 산책을 하고 아이들은 연을 날립니다. 올해는 꽃이 아주 예쁘게 피었습니다.",
    "windows-1251": "Весной в парке гуляет много стариков, а дети запускают воздушных змеев.",
    "windows-1252": "Au printemps, beaucoup de vieux se promènent dans le parc; les enfants y jouent l’après-midi.",
    "koi8-r": "Весной в парке гуляет много стариков, а дети запускают воздушных змеев.",
    "utf-8": "春天的公园 – a park in spring 🙂",
    "utf-16le": "春天的公园 – a park in spring 🙂",
    "utf-16be": "春天的公园 – a park in spring 🙂",
}


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("gb2312", "gb18030"),
        (" X-GBK ", "gb18030"),
        ("gb_2312-80", "gb18030"),
        ("latin1", "windows-1252"),
        ("us-ascii", "windows-1252"),
        ("Big5-HKSCS", "big5"),
        ("x-sjis", "shift_jis"),
        ("utf-16", "utf-16le"),
        ("utf-7", None),
        ("iso-2022-kr", None),
        ("ｕｔｆ-8", None),
        ("nothing", None),
    ],
)
def test_labels(label, name):
    assert encoding_name(label) == name


@pytest.mark.parametrize("encoding", TEXTS)
def test_text_reads_back_equal(encoding):
    assert decode_text(TEXTS[encoding].encode(python_codec(encoding)), encoding) == (TEXTS[encoding], 0)


@given(st.sampled_from(sorted(TEXTS)), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_what_an_encoding_can_write_reads_back_equal(encoding, text):
    codec = python_codec(encoding)
    raw = text.encode(codec, "ignore")
    assert decode_text(raw, encoding) == (raw.decode(codec), 0)


@given(st.sampled_from(sorted(TEXTS)), st.data())
def test_a_damaged_byte_that_is_noticed_costs_a_character_and_a_neighbour_at_most(encoding, data):
    text = TEXTS[encoding]
    raw = text.encode(python_codec(encoding))
    place = data.draw(st.integers(0, len(raw) - 1))
    damaged = raw[:place] + data.draw(st.sampled_from([b"\xff", b"\x80", b"\0", b" "])) + raw[place + 1 :]
    found, replaced = decode_text(damaged, encoding)
    assume(replaced)  # else other characters were read, or the damage is to ASCII
    same_start = next((n for n, (a, b) in enumerate(zip(text, found)) if a != b), min(len(text), len(found)))
    same_end = next((n for n, (a, b) in enumerate(zip(text[::-1], found[::-1])) if a != b), len(found))
    assert same_start + same_end >= len(text) - 2


@given(st.sampled_from(sorted(TEXTS)), st.binary(max_size=60))
def test_any_bytes_decode(encoding, raw):
    text, replaced = decode_text(raw, encoding)
    text.encode()
    assert 0 <= replaced <= len(raw)


def test_each_error_is_counted_once():
    raw = "今天天气很好".encode("gb18030")
    assert decode_text(raw[:4] + b"\xff" + raw[5:], "gb18030") == ("今天\ufffd气很好", 1)
    assert decode_text(raw[:5] + b"\xff" + raw[6:], "gb18030") == ("今天\ufffd气很好", 1)
    assert decode_text("\ufffd".encode() + b"\xff", "utf-8") == ("\ufffd\ufffd", 1)
    assert decode_text(b"\x80", "gb18030") == ("€", 0)
    assert decode_text(b"\xad\xa1", "euc-jp") == ("①", 0)


def test_a_binary_file_is_decoded_in_linear_time():
    raw = bytes(range(256)) * 400
    for encoding in TEXTS:
        start = time.process_time()
        decode_text(raw, encoding)
        assert time.process_time() - start < 2


def test_marks():
    assert split_byte_order_mark(b"\xef\xbb\xbfa") == (b"a", "utf-8")
    assert split_byte_order_mark(b"\xff\xfea\0") == (b"a\0", "utf-16le")
    assert split_byte_order_mark(b"a") == (b"a", None)
