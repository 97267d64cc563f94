"""Pages made to keep a parser busy are told at once, and no other page is."""

import time

import pytest

from baichuan_jax.data.document import Damaged, Document
from baichuan_jax.data.sources.hostile import ATTRIBUTES, DENSE_TAGS, DEPTH, scan_markup
from baichuan_jax.data.sources.html import looks_like_html
from baichuan_jax.data.sources.web_pages import page_document
from tests.data.sources.test_web_pages import EN, page


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<div>" * (DEPTH + 1), "deep"),
        ("<ul><li>a" * (DEPTH + 1), "deep"),
        ("<table><tr><td>" * (DEPTH + 1), "deep"),
        ("<Made-Up>a" * (DEPTH + 1), "deep"),
        ("a<p>" * (DENSE_TAGS + 1), "tags"),
        (f"<p {' '.join(f'a{n}' for n in range(ATTRIBUTES + 1))}>", "attributes"),
        (f"""<p {" ".join(f"a{n}='b c'" for n in range(ATTRIBUTES + 1))}>""", "attributes"),
        ("<div>" * (DEPTH - 9) + "</div>" * (DEPTH - 9), ""),
        ("<div></div>" * 5000, ""),
        ("<p>A paragraph that has no end.\n" * 5000, ""),
        ("<tr><td>a cell of some words<td>and another" * 3000, ""),
        ("床前明月光，疑是地上霜。<br>" * 9000, "in a row"),
        ("床前明月光，疑是地上霜。<br>" * 4500, ""),
        ("<p>床前明月光，疑是地上霜。<br>举头望明月，低头思故乡。</p>" * 4500, ""),
        ("some words <a href=x>and</a> " * 5001, "in a row"),
        (f"""<p data-json='{'{"a": 1, ' * 2000}'>""", ""),
        (f'<img src="data:image/png;base64,{"QUJD" * 100_000}">', ""),
        ("<script>" + '"<div>" + ' * 5000 + "</script>", ""),
        ("<!--" + "<div>" * 5000 + "-->", ""),
        ("<svg>" + "<path d='M0'/>" * 2000 + "</svg>", ""),
        ("a < b and c <- d " * 5000, ""),
    ],
)
def test_limits(body, said):
    _, found = scan_markup(f"<html><body>{body}</body></html>")
    assert said in found if said else not found


UNITS = """< <a <!-- <script> <script </ <p> &amp; <![CDATA[ <div>x <br> <li>a <dt>a<dd>b <b><i><p>a</b></i> <h1>a</h1>
&#x41; <title> <textarea> <ul><li>a <svg/> <tr><td>a</td>""".split()
UNITS += ["<br>word after word, and", "<a href=x>some words</a> and ", "<b>some words</b> and more ", "<i>a</i> word "]
UNITS += ["<!-- x -->", "<a b='", '<a b="', "<p a=1 ", " ", "\n", "<p>one, two, three words</p>"]


@pytest.mark.parametrize("unit", UNITS)
def test_time_is_linear(unit):
    pytest.importorskip("trafilatura")

    def seconds(size):
        body = unit * (size // len(unit))
        start = time.process_time()
        found = page_document(Document(page(EN) + body, "a.html"))
        assert isinstance(found, Damaged | Document)
        return time.process_time() - start

    seconds(1000)
    once, twice = seconds(50_000), seconds(100_000)
    assert twice < 3
    assert twice < max(0.5, 4 * once)


@pytest.mark.parametrize(
    "text", ["<!-- a -->" * 9000, "<!--a--> " * 9000 + "<html>", "<!--" * 9000, " " * 90_000, "<?xml " * 9000]
)
def test_a_beginning_of_comments_is_looked_at_once(text):
    start = time.process_time()
    assert not looks_like_html(text)
    assert time.process_time() - start < 0.1


def test_a_hostile_page_says_why():
    found = page_document(Document("<html>" + "<div>" * 999, "a.html"))
    assert (found.reason, found.message) == ("hostile_page", f"a.html: elements more than {DEPTH} deep")
