"""The question, its choices, its passage and its answer are told apart in whatever layout a set has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.data.select.rows import Row, role_of, rows_of, table_rows

STEM, CHOICES = "哪种动物会在冬天长睡", ("狗熊", "家兔", "黄牛", "山羊")
ROW = Row((STEM,), CHOICES)
LETTERS = dict(zip("ABCD", CHOICES))


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Question", "stem"),
        ("题目", "stem"),
        ("option_a", "choices"),
        ("选项B", "choices"),
        ("C", "choices"),
        ("choice1", "choices"),
        ("passage", "context"),
        ("阅读材料", None),
        ("best_answer", "extras"),
        ("标准答案", None),
        ("答案", "extras"),
        ("question_id", "ignored"),
        ("Subject", "ignored"),
        ("", None),
        ("colour", None),
    ],
)
def test_names_of_fields(name, role):
    assert role_of(name) == role


@pytest.mark.parametrize(
    "value",
    [
        {"question": STEM, "options": list(CHOICES)},
        {"question": STEM, "options": LETTERS, "subject": "biology"},
        {"question": STEM, "choices": {"text": list(CHOICES), "label": list("ABCD")}},
        {"question": STEM, "choices": [{"label": key, "text": text} for key, text in LETTERS.items()]},
        {"id": 7, "题目": STEM, **LETTERS},
        {"problem": STEM, **{f"option{n}": text for n, text in enumerate(CHOICES, 1)}},
        {"question": {"stem": STEM, "choices": [{"text": text} for text in CHOICES]}, "answerKey": "A"},
        {"question": {"text": STEM}, "options": list(CHOICES)},
        {"questions": {"q1": {"question": STEM, **LETTERS}}},
        {"tigan": STEM, "xuanxiang": list(CHOICES)},
        {"keywords": "animals", "example": [{"question": STEM, "options": list(CHOICES), "year": "2001"}]},
        {"test": {"0": {"question": STEM, "options": list(CHOICES)}}},
        [[{"question": STEM, "options": list(CHOICES)}]],
    ],
)
def test_json_layouts(value):
    (row,) = rows_of(value)
    assert (row.stem, row.choices, row.context) == (ROW.stem, ROW.choices, ())


def test_a_passage_belongs_to_each_of_its_questions():
    first, second = "狗熊冬天睡觉吗", "它吃什么"
    expected = [Row((first,), ("会", "不会"), ("有一只狗熊",)), Row((second,), ("蜂蜜", "石头"), ("有一只狗熊",))]
    nested = [{"question": first, "options": ["会", "不会"]}, {"question": second, "options": ["蜂蜜", "石头"]}]
    assert list(rows_of({"article": "有一只狗熊", "questions": nested})) == expected
    columns = {"article": "有一只狗熊", "questions": [first, second], "options": [["会", "不会"], ["蜂蜜", "石头"]]}
    assert list(rows_of(columns)) == expected
    squad = {"data": [{"paragraphs": [{"context": "有一只狗熊", "qas": nested}]}]}
    assert list(rows_of(squad)) == expected


def test_answers_stand_apart_and_numbers_may_be_choices():
    (row,) = rows_of({"question": STEM, "options": [1, 2.5, True], "answer": "B", "other": {"solution": "因为冷"}})
    assert row == Row((STEM,), ("1", "2.5"), (), ("B", "因为冷"))
    (row,) = rows_of({"instruction": "排序", "input": "三 一 二", "output": "一 二 三"})
    assert row == Row(("排序", "三 一 二"), (), (), ("一 二 三",))


@pytest.mark.parametrize(
    "cells",
    [
        [("id", "question", *"ABCD", "answer"), ("0", STEM, *CHOICES, "A")],
        [("编号", "题目", "选项A", "选项B", "选项C", "选项D", "答案"), ("0", STEM, *CHOICES, "A")],
        [("", "Question", *"ABCD", "Answer"), ("0", STEM, *CHOICES, "A")],
        [(STEM, *CHOICES, "A")],
        [("12", STEM, *CHOICES, "A"), ("", "", "")],
    ],
)
def test_tables_with_and_without_a_header(cells):
    (row,) = (row for row in table_rows(cells) if row.stem)
    assert (row.stem, row.choices, row.context) == (ROW.stem, ROW.choices, ())


def test_a_solution_after_the_letter_is_no_choice():
    (row,) = table_rows([(STEM, *CHOICES, "A", "狗熊睡到春天")])
    assert row == Row((STEM,), CHOICES, (), ("狗熊睡到春天",))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("问答 aB", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["question", "options", "A", "passage", "answer", "id", "x", ""]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_any_value_is_read_and_nothing_is_made_up(value):
    found = set(texts_of(rows_of(value)))
    assert {text for text in found if not text.lstrip("-").isdigit()} <= set(leaves(value))


FLAT = st.dictionaries(
    st.sampled_from(["question", "options", "A", "B", "passage", "answer", "x", "题目"]),
    st.text("问答 aB", max_size=4) | st.lists(st.text("问答 aB", max_size=4), max_size=3),
)


@given(FLAT)
def test_no_text_of_a_row_is_lost(value):
    assert {text for text in leaves(value) if text.strip()} <= set(texts_of(rows_of(value)))


def texts_of(rows):
    return [text for row in rows for part in (row.stem, row.choices, row.context, row.extras) for text in part]


def leaves(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
