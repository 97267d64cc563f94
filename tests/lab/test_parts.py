import re

import pytest

from baichuan_jax.lab.markup import Html, escape, is_code, prose, table, tag
from baichuan_jax.lab.numbers import duration, short
from baichuan_jax.lab.page import CSS
from baichuan_jax.lab.plots import COLORS, GREY
from baichuan_jax.lab.training import smooth


def test_text_is_escaped_once_and_markup_never():
    inner = tag("em", 'a < b & "c"')
    assert inner == "<em>a &lt; b &amp; &quot;c&quot;</em>"
    assert tag("p", inner, "<hr>", class_='x"y') == f'<p class="x&quot;y">{inner}&lt;hr&gt;</p>'
    assert escape(Html("<hr>")) == "<hr>"


def test_control_characters_become_visible():
    assert escape("a\x00\x7f\r\n\tb") == "a␀␡␍\n\tb"


def test_characters_that_no_font_has_are_named():
    assert escape("评\ue5ee\u0378\U000f0001<é😀\n") == "评\\ue5ee\\u0378\\U000f0001&lt;é😀\n"


def test_only_chinese_is_marked_as_chinese():
    assert 'lang="zh-Hans"' in prose("an 不错 one")
    assert "lang=" not in prose("a language")


CODE = """    if size is None: size = -1
    if not size: return b""
    readline = self._fp.readline(size)
    for index in range(len(lines)):
        out_list.append(lines[index])
"""
PROSE = """We report (as asked) on the state(s) of the union; it is better than before: U.S. trade grew by 3.5 %
in 1998. See http://example.com/a_page for the tables."""


def test_code_is_told_from_prose():
    assert is_code(CODE)
    assert is_code("int main() {\n  printf(hello);\n}\n")
    assert not is_code(PROSE)
    assert not is_code("北京大学(简称北大)成立于1898年,函数f(x)的导数是f'(x)。")
    assert not is_code("")
    assert 'class="text code"' in prose(tag("cite", "a very_long_path/of_a/file.py"), CODE)
    assert 'class="text"' in prose(tag("cite", "a very_long_path/of_a/file.py:7, __init__ and_more"), "Some prose.")


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG defines it."""

    def light(color):
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05

    low, high = sorted((light(one), light(other)))
    return high / low


def test_plots_are_seen_on_light_and_dark_pages():
    papers = re.findall(r"--paper: (#\w+)", CSS)
    papers = [f"#{paper[1:] * 2}" if len(paper) == 4 else paper for paper in papers]
    assert len(papers) == 2
    assert min(contrast(color, paper) for color in (*COLORS, GREY) for paper in papers) >= 3


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
