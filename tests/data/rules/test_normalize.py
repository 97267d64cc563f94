"""Normalisation: what changes, what stays, and that doing it twice changes nothing."""

import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.rules.normalize_many import normalize_many


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ＡＢＣ１２３", "ABC123"),
        ("１．２９元，２０：００，４％", "1.29元，20:00，4%"),
        ("全　角　空格", "全 角 空格"),
        ("ﬁne ﬂow", "fine flow"),
        ("ｶﾞｷﾞ", "ガギ"),
        ("e\u0301", "é"),
        ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne"),
        ("\ufeffa\u200bb\u00adc\x00d\x1be\u202ef", "abcdef"),
        ("a  \t\nb \n", "a\nb"),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
        ("a\u00a0b\u2003c", "a b c"),
        ("\n\n  indented", "  indented"),
    ],
)
def test_becomes(before, after):
    assert normalize(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "你好，世界！（真的？）“是”：；、…—《书》",
        "x² + ½ ≠ ① ℃ ㎏ ™ Ⅷ",
        "def f():\n    if x:\n\treturn [ 1,  2 ]\n\n\nclass A:\n    pass",
        "👩\u200d👩\u200d👧 می\u200cخواهم",
        "ガギグ 한국어 naïve",
        "比分１：".replace("１", "1"),
    ],
)
def test_stays(text):
    assert normalize(text) == text


PROSE = "Tom &amp; Jerry&nbsp;&mdash; a film of 1940. It&#39;s old."


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PROSE, "Tom & Jerry — a film of 1940. It's old."),
        ("价格&nbsp;&nbsp;100元&hellip;&hellip;便宜", "价格  100元……便宜"),
        ("a &amp;amp; b &amp;amp; c &amp;amp; d", "a & b & c & d"),  # escaped twice
        ("a &lt; b &gt; c &quot;d&quot;", 'a < b > c "d"'),
        (f"{PROSE} See /?a=1&copy=2.", "Tom & Jerry — a film of 1940. It's old. See /?a=1&copy=2."),
    ],
)
def test_entities_that_are_left_over(before, after):
    assert normalize(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "AT&amp;T and R&amp;D",  # too few to tell
        PROSE.replace("film", "page of HTML"),
        "Write &lt;b&gt; for bold &amp; &lt;i&gt; for italics.",
        "Write `&amp;` for an ampersand, &lt; and &gt; for the brackets.",
        "<p>Tom &amp; Jerry &amp; others &amp; more</p>",
        "x = {\n    'a': f(b),\n    'c': '&amp;&lt;&gt;',\n}\nreturn x\n",
    ],
)
def test_entities_that_are_meant_stay(text):
    assert normalize(text) == text.strip("\n")


TRICKY = "\r\n \t\u3000\u200b\u00ad\u0301\u3099ｶﾞ．：１1ＡaeﬁÅ\u212b，。\x0c\ufeff豈"


ENTITIES = ["&amp;", "&lt;", "&nbsp;", "&#13;", "amp;", "&", ";", "lt;"]
CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.lists(st.one_of(st.sampled_from([*TRICKY, *ENTITIES]), CHARACTERS), max_size=40).map("".join)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("\u0301\n\u0301\r&amp;&amp;\n\u0301\n&amp;\u0301")  # looks like code where "\r" ends no line
def test_idempotent_and_clean(text):
    once = normalize(text)
    assert normalize(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert not any(line.endswith((" ", "\t")) for line in once.split("\n"))
    assert "\n\n\n\n" not in once
    assert all(character in "\n\t" or unicodedata.category(character) != "Cc" for character in once)


@settings(max_examples=100, deadline=None)
@given(st.text("abc {}()=:\t", min_size=1).filter(lambda line: line == line.rstrip()))
def test_ascii_lines_and_their_indentation_stay(line):
    assert normalize(f"x\n{line}\ny") == f"x\n{line}\ny"


@settings(max_examples=600, deadline=None)
@given(st.lists(TEXTS, max_size=8))
def test_many_texts_become_what_each_becomes(texts):
    assert normalize_many(texts) == [normalize(text) for text in texts]


COMMON = ["\n", "\n\n", " ", "\t", "\u3000", "\u200b", "\x0c", "：", "．", "１", "2", "&amp;", "a", "中", "，"]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.lists(st.sampled_from(COMMON), max_size=20).map("".join), max_size=8))
def test_many_texts_without_anything_rare(texts):
    assert normalize_many(texts) == [normalize(text) for text in texts]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(" \t\u200b\ufeff\r\na中ก#¶🔗\ufffd\uf0b7\ue000\x92\x85\u202fᠠ1．"), st.integers(1, 40)
        ),
        max_size=8,
    )
)
def test_long_runs_among_many(runs):
    text = "".join(character * number for character, number in runs)
    assert normalize_many(["a", text, text + "b"]) == [normalize(one) for one in ("a", text, text + "b")]
    assert normalize(normalize(text)) == normalize(text)


@pytest.mark.parametrize(
    "piece", ["\ufeff", "\u200b", " \u200b", "\r\ufeff", "&amp;", "amp;", "1．2", "\n1．3", "a¶", "#\n", "\ufffd "]
)
def test_time_is_linear(piece):
    text = "&" + piece * (100_000 // len(piece))
    start = time.process_time()
    normalize_many([text, f"{text}\n"])
    assert time.process_time() - start < 1


def test_every_character_among_many():
    pairs = [f"a{chr(point)}\u0301 {chr(point)}b" for point in range(0x30000) if not 0xD800 <= point < 0xE000]
    lone = [f"o{pair[1]}" for pair in pairs]
    for texts in (pairs, lone):
        assert normalize_many(texts) == [normalize(text) for text in texts]
