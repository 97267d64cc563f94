"""The main text of web pages: mocks of pages, broken ones too."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.sources import html
from baichuan_jax.data.sources.html import extract_main_text, looks_like_html

ZH = [
    "第一段讲的是城里新开的图书馆，里面有很多好书，读者可以随便借阅。",
    "第二段说，周末的时候常常有人来这里听讲座，座位总是坐满的。",
]
EN = [
    "The library that opened in the old town this spring holds many good books, and anyone may borrow them.",
    "On most weekends people come to hear a talk there, and there is never a free seat in the room.",
]


def page(paragraphs: list[str]) -> str:
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs * 3)
    return f"""<!DOCTYPE html><html><head><title>Library</title><script>var x = "<p>no</p>";</script></head><body>
    <nav><ul><li><a href="/">首页</a></li><li><a href="/news">NAVIGATION</a></li></ul></nav>
    <div class="article"><h1>Library</h1>{body}</div>
    <footer><a href="/about">ABOUT US</a> COPYRIGHT 2020</footer></body></html>"""


@pytest.mark.parametrize("paragraphs", [ZH, EN])
def test_main_text(paragraphs):
    pytest.importorskip("trafilatura")
    text = extract_main_text(page(paragraphs))
    assert [line for line in text.split("\n") if line in paragraphs][:2] == paragraphs
    assert not any(word in text for word in ("首页", "NAVIGATION", "ABOUT US", "COPYRIGHT", "var x", "<p>"))
    assert extract_main_text(page(paragraphs)) == text


@pytest.mark.parametrize(
    ("text", "is_page"),
    [
        (page(EN), True),
        ("\ufeff <!-- made by a tool -->\n<html lang='zh'>", True),
        ('<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0">', True),
        ("<BODY bgcolor=white>", True),
        ("", False),
        ("<p>One paragraph", False),
        ("A page begins with <html>.", False),
        ("<htmlish>", False),
        ("if a < b:\n    print('<html>')", False),
    ],
)
def test_looks_like_html(text, is_page):
    assert looks_like_html(text) == is_page


@pytest.mark.parametrize("broken", ["", "<html>", "<html>\x00<p", "<html><body>" + "<div>" * 20_000 + "x"])
def test_broken_pages_have_no_text(broken):
    pytest.importorskip("trafilatura")
    assert extract_main_text(broken) == ""


@settings(max_examples=50, deadline=None)
@given(st.text("<>/pdivhtml &;\"'=中 \x00\ud800", max_size=80))
def test_nothing_raises(text):
    pytest.importorskip("trafilatura")
    assert isinstance(extract_main_text(f"<html><body>{text}"), str)


def test_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    html._extractor.cache_clear()
    with pytest.raises(UserError, match=r"\.\[html\]"):
        extract_main_text(page(EN))
