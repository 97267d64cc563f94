"""Normalisation: what changes, what stays, and that doing it twice changes nothing."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.rules.normalize import normalize


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


TRICKY = "\r\n \t\u3000\u200b\u00ad\u0301\u3099ｶﾞ．：１1ＡaeﬁÅ\u212b，。\x0c\ufeff豈"


@settings(max_examples=400, deadline=None)
@given(st.text(st.one_of(st.sampled_from(TRICKY), st.characters(exclude_categories=["Cs"])), max_size=40))
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
