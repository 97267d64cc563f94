"""Texts are cut where a sentence ends, in Chinese and in English."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.data.rules.sentences import sentences, split_sentences


@pytest.mark.parametrize(
    "parts",
    [
        ["今天天气很好。", "我们去公园吧！", "好不好？！"],
        ["他说：“好。”", "然后走了。"],
        ["他说：“好。”\n\n    ", "第二段……", "完"],
        ["（见图。）\n", "下一行"],
        ["It rained. ", "“We stayed,” he said. ", "(All of us.) ", "Pi is 3.14 or so. "],
        ["Mr. Smith met J. F. Kennedy at St. Paul etc. and Gen. Grant. ", "They talked."],
        ["Almost. ", "AMr. ", "Best."],
        ["wait... ", "What?! ", "no. but yes"],
        ["标题\n", "- 一项\n\t", "- 二项"],
        ["混合 text. ", "中文也行。", "End"],
        ["  leading spaces. ", "Then"],
        ["\n", "line"],
    ],
)
def test_cut(parts):
    assert sentences("".join(parts)) == parts


TEXT = st.text("ab A.Mr。！”\n\t )(…中", max_size=40)


@given(TEXT)
def test_joined_they_are_the_text(text):
    parts = sentences(text)
    assert "".join(parts) == text
    assert all(parts)


@given(st.lists(TEXT, max_size=5))
def test_neighbours_do_not_matter(texts):
    found = split_sentences(texts)
    alone = [(number, part) for number, text in enumerate(texts) for part in sentences(text)]
    starts = (found.starts - found.first[found.texts]).tolist()
    stops = (found.stops - found.first[found.texts]).tolist()
    assert [(n, texts[n][a:b]) for n, a, b in zip(found.texts.tolist(), starts, stops)] == alone
