"""Text read with the wrong table is mended, and signs of damage that say nothing go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.data.rules.cleaner import Cleaner
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.controls import count_repaired
from baichuan_jax.data.rules.normalize import normalize


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        ("1914\x961918 and it didn\x92t cost \x805\x85 he said", "1914–1918 and it didn’t cost €5… he said", 4),
        ("\x93Yes\x94 \x97 no", "“Yes” — no", 3),
        ("na\xc3\xafve and it\xe2\x80\x99s so", "naïve and it’s so", 2),
        ("caf\xe9 and it\x92s", "café and it’s", 1),
        ("wait\x85 what", "wait… what", 1),
        ("one\x85two", "one\ntwo", 0),
        ("a\x81\x8d\x8f\x90b\x92", "ab", 0),  # in no table
    ],
)
def test_controls(before, after, count):
    assert normalize(before) == after
    assert count_repaired(before) == count
    assert [cleaned.repaired for cleaned in Cleaner(FilterConfig())([before, "plain"])] == [count, 0]


@given(st.text("‘’“”–—…€™ abc", max_size=40))
def test_windows_1252_read_as_latin_1_comes_back(text):
    assert normalize(text.encode("cp1252").decode("latin-1").replace("\x85", "\x97")) == normalize(
        text.replace("…", "—")
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\uf0b7 one\n\uf0b7two", "• one\n•two"),
        ("Heading \uf0c1\ntext", "Heading\ntext"),
        ("Heading\uf0c1\ntext", "Heading\ntext"),
        ("a \ufffd b", "a b"),
        ("it\ufffds", "it\ufffds"),
        ("字\ue000字", "字\ue000字"),
        ("字\ue5e5字", "字 字"),
    ],
)
def test_lone_signs(before, after):
    assert normalize(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "ភាសា\u200bខ្មែរ",
        "ไทย\u200bภาษา",
        "ᠮᠣᠩᠭᠣᠯ\u202fᠤᠨ",
        "ᠠ\u180eᠠ",
        "ᠠ\u180b",
        "क्\u200dष",
        "می\u200cخواهم",
        "👩\u200d👩\u200d👧",
    ],
)
def test_what_scripts_need_stays(text):
    assert normalize(text) == text


def test_elsewhere_it_goes():
    assert normalize("中\u200b文 a\u200bb\u180e c\u202f:") == "中文 ab c :"


def test_radicals_become_ideographs():
    assert normalize("⻓⽅体⼒⼤") == "长方体力大"
