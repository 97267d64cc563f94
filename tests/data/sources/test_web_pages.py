"""Files that are web pages: their encodings, as browsers find them, and pages that hold no text or too much markup."""

import pytest

from baichuan_jax.data.config import Reading
from baichuan_jax.data.encodings.codec import python_codec
from baichuan_jax.data.sources.file_formats import read_file
from baichuan_jax.data.sources.web_pages import page_encoding

pytest.importorskip("trafilatura")
ZH = "这是城里新开的图书馆，里面有很多好书，读者可以随便借阅，周末还有讲座，座位总是坐满的。"
ZHT = "這是城裡新開的圖書館，裡面有很多好書，讀者可以隨便借閱，週末還有講座，座位總是坐滿的。"
JA = "町に新しい図書館ができました。良い本がたくさんあり、だれでも借りることができます。週末には講演もあります。"
EN = "The library that opened in the old town this spring holds many good books, and anyone may borrow them."
FR = "La bibliothèque qui a ouvert cet été dans la vieille ville possède beaucoup de bons livres, qu’on prête à tous."


def page(text, head=""):
    body = "".join(f"<p>{n}. {text}</p>\n" for n in range(4))
    return f"<!DOCTYPE html>\n<html><head><title>t</title>{head}</head><body><article>\n{body}</article></body></html>"


def read(path, raw, encoding="auto", damaged="skip"):
    path.write_bytes(raw)
    (found,) = read_file(path, Reading(encoding=encoding, damaged=damaged))
    return found


@pytest.mark.parametrize(
    ("head", "encoding", "text"),
    [
        ("<meta charset=gb2312>", "gb18030", ZH),
        ('<META CHARSET = " x-gbk ">', "gb18030", ZH),
        ("<meta name=a><meta charset='gb_2312-80'/>", "gb18030", ZH),
        ('<meta http-equiv="Content-Type" content="text/html; charset=gbk">', "gb18030", ZH),
        ('<meta content="text/html;charset=big5" http-equiv=content-type>', "big5", ZHT),
        ('<meta charset="big5-hkscs">', "big5", ZHT),
        ("<meta charset=x-sjis>", "shift_jis", JA),
        ("<meta charset=euc-jp>", "euc-jp", JA),
        ("<meta charset=iso-8859-1>", "windows-1252", FR),
        ("<meta charset=utf-16>", "utf-8", ZH),
        ("<meta charset=utf-8>", "utf-8", ZH),
        ("", "utf-8", ZH),
        # It says nothing, or what is not so.
        ("", "gb18030", ZH),
        ("", "big5", ZHT),
        ("", "shift_jis", JA),
        ("<meta charset=utf-8>", "gb18030", ZH),
        ("<meta charset=gb2312>", "utf-8", ZH),
        ("<meta charset=gb2312>", "big5", ZHT),
        ("<meta charset=big5>", "gb18030", ZH),
        ("<meta charset=iso-8859-1>", "gb18030", ZH),
        ("<meta charset=iso-8859-1>", "utf-8", ZH),
        ("<meta charset=nonsense>", "gb18030", ZH),
        ("<!-- <meta charset=koi8-r> --><meta charset=gbk>", "gb18030", ZH),
        ("<meta charset=utf-8>", "utf-16le", ZH),
    ],
)
def test_encodings(tmp_path, head, encoding, text):
    found = read(tmp_path / "a.html", page(text, head).encode(python_codec(encoding)))
    assert found.text.count(text) == 4
    assert (found.replaced, found.encoding) == (0, encoding)


def test_a_mark_and_a_given_encoding_come_before_what_a_page_says(tmp_path):
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be")):
        raw = mark + page(ZH, "<meta charset=gbk>").encode(python_codec(encoding))
        assert read(tmp_path / "a.html", raw).text.count(ZH) == 4
    assert page_encoding(page(FR, "<meta charset=koi8-r>").encode("cp1252"), "windows-1252")[1] == "windows-1252"


def test_xml_declares_its_encoding(tmp_path):
    raw = f'<?xml version="1.0" encoding="gb2312"?>\n{page(ZH)}'.encode("gb18030")
    found = read(tmp_path / "a.xhtml", raw)
    assert (found.text.count(ZH), found.encoding) == (4, "gb18030")


@pytest.mark.parametrize("place", [0, 1, 20, 21, -2, -1])
def test_a_damaged_byte_costs_one_character(tmp_path, place):
    for head in ("<meta charset=gbk>", ""):
        raw = page(ZH, head).encode("gb18030")
        start = raw.index(ZH.encode("gb18030")) + place % len(ZH.encode("gb18030"))
        found = read(tmp_path / "a.html", raw[:start] + b"\xff" + raw[start + 1 :])
        assert found.text.count(ZH) == 3
        assert (found.replaced, found.text.count("\ufffd"), found.encoding) == (1, 1, "gb18030")


def test_characters_that_no_page_should_hold(tmp_path):
    found = read(tmp_path / "a.html", page(f"\0{ZH}\x01\x0b\x1f\ufffd").encode())
    assert found.text.count(f"{ZH}\ufffd") == 4
    assert "\0" not in found.text


def test_a_page_without_text_says_so(tmp_path):
    for damaged in ("skip", "stop"):
        found = read(tmp_path / "a.html", b"<html><head><title>t</title></head><body></body></html>", damaged=damaged)
        assert found.reason == "no_main_text"
        assert "a.html: a web page in which no main text was found" in found.message
