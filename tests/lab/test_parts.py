import pytest

from baichuan_jax.lab.markup import Html, escape, prose, table, tag
from baichuan_jax.lab.numbers import duration, short
from baichuan_jax.lab.training import smooth


def test_text_is_escaped_once_and_markup_never():
    inner = tag("em", 'a < b & "c"')
    assert inner == "<em>a &lt; b &amp; &quot;c&quot;</em>"
    assert tag("p", inner, "<hr>", class_='x"y') == f'<p class="x&quot;y">{inner}&lt;hr&gt;</p>'
    assert escape(Html("<hr>")) == "<hr>"


def test_control_characters_become_visible():
    assert escape("a\x00\x7f\r\n\tb") == "a␀␡␍\n\tb"


def test_only_chinese_is_marked_as_chinese():
    assert 'lang="zh-Hans"' in prose("an 不错 one")
    assert "lang=" not in prose("a language")


def test_table_names_its_rows_and_columns():
    made = table("sizes", ["domain", "bytes"], [["zh", 1]])
    assert '<th scope="col">bytes</th>' in made
    assert '<th scope="row">zh</th><td>1</td>' in made


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (999, "", "999"),
        (1000, "", "1 k"),
        (9_995, "", "10.0 k"),
        (12_345_678, "", "12.3 M"),
        (999_999, "B", "1.00 MB"),
        (7e9, "", "7 G"),
        (1.1e12, "FLOP/s", "1.10 TFLOP/s"),
        (950e12, "FLOP/s", "950 TFLOP/s"),
        (12, "B", "12 B"),
    ],
)
def test_short(value, unit, text):
    assert short(value, unit).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (90_061, "25 h 01 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds).replace("\u00a0", " ") == text


def test_smooth_is_the_mean_around():
    assert smooth([1.0, 5.0, 3.0], 1).tolist() == [1, 5, 3]
    assert smooth([1.0, 5.0, 3.0, 7.0], 3).tolist() == [3, 3, 5, 5]
