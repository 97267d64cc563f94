"""List marks stay apart from the numbers after them, decimals become half-width, and permalinks go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.data.rules.list_marks import narrow, without_permalinks


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1．3的倍数\n2．2022年\n3．5月1日\n4．12和18", "1．3的倍数\n2．2022年\n3．5月1日\n4．12和18"),
        ("圆周率约为3．14，比分是2：1，时间20：00", "圆周率约为3.14，比分是2:1，时间20:00"),
        ("3．14是圆周率", "3.14是圆周率"),
        ("1．29元", "1.29元"),
        ("3．5月1日是什么节日？", "3．5月1日是什么节日？"),
        ("12．2008年的奥运会", "12．2008年的奥运会"),
        ("题：1．3的倍数 2．5的倍数 3．7的倍数", "题：1．3的倍数 2．5的倍数 3．7的倍数"),
        ("1．3．14约等于几\n2．2．5是小数吗", "1．3.14约等于几\n2．2.5是小数吗"),
        ("1．2．1 概述\n1．2．2 特点", "1.2.1 概述\n1.2.2 特点"),
        ("2008．5．1", "2008.5.1"),
        ("8：00 起床\n9：00 早餐", "8:00 起床\n9:00 早餐"),
        ("1：3的倍数\n2：5的倍数", "1：3的倍数\n2：5的倍数"),
        ("价格为2．5 元和3．5 元", "价格为2.5 元和3.5 元"),
    ],
)
def test_marks_of_numbers(before, after):
    assert narrow(before) == after


@given(st.lists(st.integers(0, 9999), min_size=2, max_size=8), st.integers(1, 30))
def test_every_list_keeps_its_marks(numbers, first):
    text = "\n".join(f"{place}．{number}个苹果" for place, number in enumerate(numbers, first))
    assert narrow(text) == text


@given(st.text("12 ．：\n。年", max_size=30))
def test_narrowing_again_changes_nothing(text):
    assert narrow(narrow(text)) == narrow(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Install¶\nRun it.\nfoo(a, b)¶", "Install\nRun it.\nfoo(a, b)"),
        ("安装¶", "安装"),
        ("The sign is ¶", "The sign is ¶"),
        ("Usage#\ntext\nTests#\n", "Usage\ntext\nTests\n"),
        ("I write C#\nand F#\n学习C#\n", "I write C#\nand F#\n学习C#\n"),
        ("Usage#\n", "Usage#\n"),
        ("## Usage ##\n## Tests ##\n", "## Usage ##\n## Tests ##\n"),
        ("Usage🔗\ntext\nTests 🔗\n", "Usage\ntext\nTests\n"),
    ],
)
def test_permalinks(before, after):
    assert without_permalinks(before) == after


@given(st.text("ab #¶🔗\nC，", max_size=30))
def test_permalinks_go_at_once(text):
    assert without_permalinks(without_permalinks(text)) == without_permalinks(text)
