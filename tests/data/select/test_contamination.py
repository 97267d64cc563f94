"""A document that holds a question is found however it prints it; one that shares a quotation with it is not."""

import json
import random
import zipfile
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.dedup.shingles import BATCH
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.select.contamination import CANDIDATES, SPAN, _candidates, find_questions
from baichuan_jax.data.select.index import COMMON, RUN, EvaluationIndex, index_sets, questions, sets_of
from baichuan_jax.data.select.placed_tokens import place, runs
from baichuan_jax.data.sources.demo import read_demo

ZH = {
    "question": "小镇上的邮局每天早晨几点钟开门营业",
    "options": ["早晨六点半", "早晨八点整", "上午九点", "中午以后"],
    "answer": "B",
}
SHORT = {"question": "蜂巢的小室有几条边", "options": ["四", "五", "六", "八"], "answer": "C"}
EN = {
    "question": "Which of these birds was kept by sailors on the old northern route",
    "A": "a grey parrot",
    "B": "a snow goose",
    "C": "the ship's own raven",
    "D": "no bird at all",
    "answer": "C",
}
STORY = {
    "question": "Marta picks 14 pears every morning and 9 more after lunch, and she gives 5 to her aunt on the way "
    "home. She sells the rest at the corner for 3 coins each. How many coins does Marta bring home in one week?",
    "answer": "Marta keeps 14 + 9 - 5 = 18 pears a day, and 18 * 3 = 54 coins, so 54 * 7 = 378 coins in a week.",
}
VERSE = "春水满塘鱼正肥，柳丝拂岸燕初归。渔翁不问人间事，一叶扁舟载月飞。"
QUOTING = {"question": f"“{VERSE}”这首诗里写的是哪一个季节", "options": ["初春时节", "盛夏", "深秋", "寒冬腊月"]}
READING = {
    "passage": "灯塔看守人每隔十天才能收到一次补给，船来的时候，他总是站在礁石上挥动那面褪色的旗子。" * 3,
    "question": "看守人为什么要挥动旗子",
    "options": ["为船引路", "向船员求救", "驱赶海鸟"],
}
SETS = {"quiz": [ZH, SHORT, EN, QUOTING], "long": [STORY, READING, {"question": "一加一等于几", "A": "二"}]}
ROWS = {"zh": 0, "short": 1, "en": 2, "quoting": 3, "story": 4, "reading": 5}
HOST = {"zh": "老街的尽头有一家修鞋铺，师傅姓唐。", "en": "The shop at the end of the lane repairs old boots. "}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sets")
    (directory / "quiz.jsonl").write_text("\n".join(json.dumps(row) for row in SETS["quiz"]))
    with zipfile.ZipFile(directory / "long.zip", "w") as archive:
        archive.writestr("dev/rows.json", json.dumps({"rows": SETS["long"]}))
    counts = index_sets([str(directory / "quiz.jsonl"), str(directory / "long.zip")], 13, directory)
    assert [(count["rows"], count["searched"], count["too_short"]) for count in counts] == [(4, 4, 0), (3, 2, 1)]
    assert counts[1]["short"] == [{"source": "long.zip: dev/rows.json row 3", "text": "一加一等于几\n二"}]
    return directory


@pytest.fixture(scope="module")
def index(directory):
    return EvaluationIndex.load(directory)


def choices(row):
    return row.get("options") or [row[letter] for letter in "ABCD"]


def found(index, text):
    """Return the rows in a text."""
    return {int(row) for row in find_questions(index, [normalize(text)])["row"]}


def around(text, language="zh"):
    return HOST[language] * 8 + text + HOST[language] * 8


MARKS = ["{}", "{}. ", "{}、", "({}) ", "（{}）", "{}: ", "{} ", "[{}] "]
LABELS = ["ABCDEFGH", "abcdefgh", "ＡＢＣＤＥＦＧＨ", "①②③④⑤⑥⑦⑧"]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("between", ["\n", "  ", "；"])
def test_labelled_choices_are_found(index, mark, labels, between):
    if labels[0] == "a" and mark in ("{}", "{} "):
        pytest.skip("a small letter without a mark is a word")
    for name, row in (("zh", ZH), ("short", SHORT), ("en", EN)):
        if name == "en" and mark == "{}" and labels[0] != "①":
            continue  # "Aa grey parrot" is how nobody prints it
        parts = [mark.format(label) + text for label, text in zip(labels, choices(row))]
        text = row["question"] + "（ ）" + between + between.join(parts)
        assert found(index, around(text)) == {ROWS[name]}


def test_layouts_in_which_questions_are_printed(index):
    for name, row in (("zh", ZH), ("en", EN)):
        question, options = row["question"], choices(row)
        assert found(index, question) == {ROWS[name]}  # nothing else
        joint = "" if name == "zh" else " "
        for text in (
            joint.join([question, *options]),
            joint.join([question, *options, "答案：B"]),
            "12．" + question.upper() + "？\n" + "\n".join(options),
            question.replace(" ", "\n") + "\n" + "\n".join(reversed(options)),
            "「" + question + "」" + "、".join(options[2:] + options[:2]),
            question + "。",
        ):
            assert found(index, around(text, name)) == {ROWS[name]}, text
    text = SHORT["question"] + "：" + "、".join(reversed(choices(SHORT)))
    assert found(index, around(text)) == {ROWS["short"]}
    assert not found(index, around(SHORT["question"]))  # nine tokens that anyone might write
    assert not found(index, around("、".join(choices(ZH))))


def test_an_exam_sheet_holds_all_its_questions(index):
    sheet = "\n".join(
        f"{number}. {row['question']}\n" + "\n".join(f"{a}. {b}" for a, b in zip("ABCD", choices(row)))
        for number, row in enumerate((ZH, EN, SHORT, QUOTING), 1)
    )
    assert found(index, sheet) == {ROWS[name] for name in ("zh", "en", "short", "quoting")}


def test_a_quotation_is_no_question(index):
    classic = around("有人题诗曰：" + VERSE + "众人看了，都说好。")
    assert not found(index, classic)
    assert not found(index, "这里只有四个季节：初春时节、盛夏、深秋、寒冬腊月。" + classic)
    assert found(index, around(QUOTING["question"] + "".join(QUOTING["options"]))) == {ROWS["quoting"]}
    assert found(index, around(QUOTING["question"])) == {ROWS["quoting"]}


def test_how_much_of_a_question_is_enough(index):
    words = STORY["question"].split()
    assert found(index, around(" ".join(words[: int(0.85 * len(words))]), "en")) == {ROWS["story"]}
    assert not found(index, around(" ".join(words[: len(words) // 2]), "en"))
    assert not found(index, around(" ".join(random.Random(0).sample(words, len(words))), "en"))
    reworded = " ".join(word if place % 3 else "then" for place, word in enumerate(words))
    assert not found(index, around(reworded, "en"))


def test_passages_and_solutions_go_with_their_question(index):
    (match,) = find_questions(index, [around(READING["question"] + "".join(READING["options"]))])
    assert match["row"] == ROWS["reading"]
    text = around(READING["passage"] + "\n" + READING["question"] + "\n" + "\n".join(READING["options"]))
    matches = find_questions(index, [text])
    assert matches["start"].min() == len(HOST["zh"]) * 8
    text = around(STORY["question"] + "\nSolution: " + STORY["answer"], "en")
    matches = find_questions(index, [text])
    assert text[: matches["end"].max()].endswith("w")
    assert set(matches["row"]) == {ROWS["story"]}
    assert found(index, around(READING["passage"])) == {ROWS["reading"]}
    assert not found(index, around(READING["passage"][:40]))


def test_where_it_stands_is_told_also_in_long_texts(index):
    text = "好。" * BATCH + ZH["question"] + "".join(ZH["options"]) + "好。" * BATCH
    (match,) = find_questions(index, ["", text])
    assert (match["text"], match["start"]) == (1, 2 * BATCH)
    assert abs(match["end"] - match["start"] - len(ZH["question"] + "".join(ZH["options"]))) <= 1
    for shift in range(-40, 10, 7):  # across the end of what is tokenised at once
        text = "好" * (BATCH + shift) + ZH["question"] + "".join(ZH["options"])
        assert found(index, text) == {ROWS["zh"]}


def test_real_text_is_clean_and_a_planted_question_is_not(index):
    texts = [document.text for document in islice(read_demo("zh_news", "skip"), 200)]
    assert not len(find_questions(index, texts))
    rng = random.Random(0)
    planted = []
    for text in texts:
        at = rng.randrange(len(text))
        planted.append(text[:at] + "\n" + ZH["question"] + "\n" + "\n".join(ZH["options"]) + "\n" + text[at:])
    assert set(find_questions(index, planted)["text"]) == set(range(len(texts)))


def test_texts_do_not_depend_on_one_another(index):
    texts = [around(ZH["question"] + "".join(ZH["options"])), "", around(VERSE), around(STORY["question"], "en"), "a"]
    whole = find_questions(index, texts)
    for number, text in enumerate(texts):
        alone = find_questions(index, [text])
        assert (
            whole[whole["text"] == number][["start", "end", "row"]].tolist() == alone[["start", "end", "row"]].tolist()
        )
    assert len(find_questions(index, [])) == 0


def test_rows_are_named(directory):
    named = questions(directory, [0, 5])
    assert named[0] == {"source": "quiz.jsonl row 1", "text": "\n".join([ZH["question"], *ZH["options"]])}
    assert named[5]["source"] == "long.zip: dev/rows.json row 2"
    assert sets_of(directory, np.array([0, 4])).tolist() == [0, 1]
    assert questions(directory, []) == {}


def test_rows_are_converted_as_the_documents_are(tmp_path):
    row = {"question": "哪一座橋是去年修的", "options": ["東橋", "西橋", "鐵索橋"]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    table = str.maketrans("橋東鐵", "桥东铁")
    index_sets([str(tmp_path / "a.jsonl")], 13, tmp_path, lambda text: text.translate(table))
    text = row["question"] + "".join(row["options"])
    assert found(EvaluationIndex.load(tmp_path), text.translate(table)) == {0}
    assert not found(EvaluationIndex.load(tmp_path), text)


def test_near_equal_rows_cost_no_more_than_a_few(tmp_path):
    """Of 30 rows that differ in one word a few are compared with each span of a text."""
    words = "the quick brown fox jumps over a lazy dog while wizards boil purple grapes near old bridges".split()
    rows = [[*words[:9], f"word{number}", *words[10:], *words] for number in range(30)]
    file = tmp_path / "set.jsonl"
    file.write_text("\n".join(json.dumps({"text": " ".join(row)}) for row in rows), encoding="utf-8")
    index_sets([str(file)], 13, tmp_path)
    text = " ".join([*words * 50, *rows[17]])
    placed = place([text])
    rows_index = EvaluationIndex.load(tmp_path)
    laid = _candidates(rows_index, placed)
    assert len(laid) <= CANDIDATES * (len(placed.hashes) // SPAN + 2)
    matches = find_questions(rows_index, [text])
    planted = text.index("word17")
    assert ((matches["start"] <= planted) & (planted < matches["end"])).any()


def test_no_sets_find_nothing(tmp_path):
    assert index_sets([], 13, tmp_path) == []
    assert len(find_questions(EvaluationIndex.load(tmp_path), [ZH["question"]])) == 0


def test_rows_that_many_share_are_found_and_phrases_of_examiners_are_not(tmp_path):
    phrase = "下列关于本地风俗的各种说法当中正确的一项是"
    rows = [
        {"question": phrase, "options": [f"第{n}条街上的庙会在{n}月举行", f"第{n}座桥是新修的"]}
        for n in range(COMMON + 9)
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    index_sets([str(tmp_path / "a.jsonl")], 13, tmp_path)
    index = EvaluationIndex.load(tmp_path)
    assert not found(index, around(phrase + "请看下文"))
    assert 7 in found(index, around(phrase + "".join(rows[7]["options"])))


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from("天地玄黄ab"), max_size=12).map(" ".join), max_size=6), st.integers(2, 5))
def test_runs_are_equal_where_their_tokens_are(texts, length):
    placed = place(texts)
    stops = np.cumsum(placed.counts)
    found = [runs(placed.hashes[end - count : end], length) for end, count in zip(stops, placed.counts)]
    hashes, numbers = np.concatenate([np.empty(0, np.uint64), *found]), np.array(list(map(len, found)), np.int64)
    expected = [tuple(words[at : at + length]) for words in map(str.split, texts) for at in range(len(words))]
    expected = [run for run in expected if len(run) == length]
    assert numbers.sum() == len(hashes) == len(expected)
    assert len(set(zip(hashes.tolist(), expected))) == len(set(hashes.tolist())) == len(set(expected))


@settings(max_examples=60)
@given(st.lists(st.text("天地 xyz12\n，.", max_size=20), max_size=5))
def test_tokens_stand_where_they_are_told(texts):
    placed = place(texts)
    numbers = np.repeat(np.arange(len(texts)), placed.counts)
    named = [(texts[number][start], value) for number, start, value in zip(numbers, placed.starts, placed.hashes)]
    assert all(character.isalnum() for character, _ in named)
    for text, count in zip(texts, placed.counts):
        assert count == sum(len(part) if part[0] in "天地" else 1 for part in words(text))
    assert len(runs(placed.hashes, RUN)) == max(0, len(named) - RUN + 1)


def words(text):
    spaced = "".join(f" {c} " if c in "天地" else c if c.isalnum() else " " for c in text)
    return spaced.split()
