"""Data sets from files: what tasks find, and what is said about files that are missing or damaged."""

import gzip
import json
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.evaluate.harness.humaneval import passed
from baichuan_jax.evaluate.harness.local import by_letter, folder_of, places_of_letters, splits

HUMANEVAL = {"task_id": "HumanEval/0", "prompt": "def f():\n", "test": "def check(f): ...", "entry_point": "f"}
DATA = Path(__file__).parents[3] / "shared/data/eval"


@pytest.fixture
def data_dir(tmp_path):
    with zipfile.ZipFile(tmp_path / "mmlu.zip", "w") as file:
        for split in ("dev", "test", "val"):
            file.writestr(f"data/{split}/law_{split}.csv", '"Is ""x, y""?",a,"b, c",d,None,B\n')
    (tmp_path / "humaneval").mkdir()
    (tmp_path / "humaneval/HumanEval.jsonl.gz").write_bytes(gzip.compress(json.dumps(HUMANEVAL).encode() + b"\n\n"))
    (tmp_path / "agieval").mkdir()
    rows = [
        {"passage": "甲。", "question": "乙？", "options": ["(A)一", "(B)二"], "label": ["A", "B"]},
        {"passage": None, "question": "2?", "options": None, "label": None, "answer": "3"},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    for name in ("jec-qa-ca", "sat-math"):
        (tmp_path / f"agieval/{name}.jsonl").write_text(lines)
    return tmp_path


def test_a_zip_file_with_quoted_fields(data_dir):
    row = {"question": 'Is "x, y"?', "subject": "law", "choices": ["a", "b, c", "d", "None"], "answer": 1}
    assert splits(data_dir, "cais/mmlu", "law") == {"test": [row], "validation": [row], "dev": [row]}


def test_gzip(data_dir):
    assert splits(data_dir, "openai/openai_humaneval", None) == {"test": [HUMANEVAL]}


def test_prompts_of_agieval(data_dir):
    chinese, cloze = splits(data_dir, "hails/agieval-jec-qa-ca", None)["test"]
    assert chinese["query"] == "甲。问题：乙？ 选项：(A)一 (B)二\n答案：从A到B, 我们应选择"
    assert chinese["gold"] == [0, 1]
    assert cloze == {"query": "问题：2?\n答案：", "answer": "3"}
    english, cloze = splits(data_dir, "hails/agieval-sat-math", None)["test"]
    assert english["query"] == "甲。Q: 乙？ Answer Choices: (A)一 (B)二\nA: Among A through B, the answer is"
    assert cloze == {"query": "Q: 2?\nA: The answer is", "answer": "3"}


OPTIONS = {"A": "one of them", "B": "Both", "C": "A man", "D": "Dr. Who"}


@given(st.permutations("ABCD"), st.data(), st.sampled_from("ABCD"))
def test_the_gold_answer_is_the_option_of_its_letter(order, data, label):
    """Whatever order the options are printed in, and however their letters are written."""
    forms = st.sampled_from(["({}){}", "（{}） {}", "{}．{}", " {}. {}", "{}、{}", "{} {}", "  {}： {}"])
    options = [data.draw(forms).format(letter, OPTIONS[letter]) for letter in order]
    assert by_letter(options) == list(OPTIONS.values())
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "agieval/sat-math.jsonl"
        file.parent.mkdir()
        file.write_text(json.dumps({"passage": "", "question": "q", "options": options, "label": label}))
        [row] = splits(Path(place), "hails/agieval-sat-math", None)["test"]
    assert row["choices"] == options
    assert [row["choices"][gold] for gold in row["gold"]] == [options[order.index(label)]]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["(A)x", "(B)y", "(C)z", "(C)w"], ["x", "y", "z", "w"]),  # misprinted: by place
        (["Anna", "Both", "Carl", "Dr. Who"], ["Anna", "Both", "Carl", "Dr. Who"]),  # words, and no letters
        (["A man", "B. none", "C", "D"], ["A man", "none", "C", "D"]),
        (["(C)x", "y", "(A)z"], ["x", "y", "z"]),
    ],
)
def test_letters_that_do_not_say_an_order(options, shown):
    assert places_of_letters(options) == list(range(len(options)))
    assert by_letter(options) == shown


def test_what_is_not_there(data_dir):
    with pytest.raises(UserError, match=r"neither cmmlu/ nor cmmlu\.zip"):
        splits(data_dir, "haonan-li/cmmlu", "law")
    with pytest.raises(UserError, match=r"sat-en\.jsonl is missing"):
        splits(data_dir, "hails/agieval-sat-en", None)
    with pytest.raises(UserError, match="does not support data set 'squad'; supported: ceval/ceval-exam"):
        splits(data_dir, "squad", None)


def test_damaged_files(data_dir):
    (data_dir / "ceval.zip").write_bytes((data_dir / "mmlu.zip").read_bytes()[:200])
    with pytest.raises(UserError, match=r"ceval\.zip is damaged"):
        folder_of(data_dir, "ceval")
    file = data_dir / "humaneval/HumanEval.jsonl.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"HumanEval\.jsonl\.gz is damaged"):
        splits(data_dir, "openai/openai_humaneval", None)
    (data_dir / "agieval/sat-math.jsonl").write_text('{"passage": ')
    with pytest.raises(UserError, match=r"sat-math\.jsonl is damaged"):
        splits(data_dir, "hails/agieval-sat-math", None)


HEAD = "id,question,A,B,C,D,answer\n"


@pytest.mark.parametrize(
    ("path", "name", "file", "text", "said"),
    [
        (
            "ceval/ceval-exam",
            "law",
            "ceval/val/law_val.csv",
            HEAD + "0,q,a,b,c,d,A\n1,q,a,b",
            "question 2 has no C, D, answer",
        ),
        ("ceval/ceval-exam", "law", "ceval/val/law_val.csv", HEAD + "0,q,a,b,c,d,E\n", "question 1 has answer = 'E'"),
        (
            "ceval/ceval-exam",
            "law",
            "ceval/val/law_val.csv",
            HEAD + "0,q,a,b,c,d,A,x\n",
            "question 1 has too many fields",
        ),
        ("ceval/ceval-exam", "law", "ceval/val/law_val.csv", HEAD, "has no questions"),
        ("cais/mmlu", "x", "mmlu/data/test/x_test.csv", "only one\n", "question 1 has no A, B, C, D, answer"),
        ("haonan-li/cmmlu", "x", "cmmlu/test/x.csv", ",Question,A,B,C,D,Antwort\n0,q,a,b,c,d,A\n", "has no Answer"),
        ("openai/gsm8k", "main", "gsm8k/train.jsonl", '{"question": "q"}', "question 1 has no answer"),
        ("openai/gsm8k", "main", "gsm8k/train.jsonl", "[1]", "question 1 has no question, answer"),
        ("hails/agieval-x", None, "agieval/x.jsonl", '{"question": "q", "options": ["a"]}', "question 1 has no label"),
        ("hails/agieval-x", None, "agieval/x.jsonl", '{"question": "q", "options": null}', "question 1 has no answer"),
    ],
)
def test_questions_that_are_none(tmp_path, path, name, file, text, said):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=said):
        splits(tmp_path, path, name)


@pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not on this machine")
def test_the_sizes_that_their_authors_give():
    sizes = lambda path, name=None: {split: len(rows) for split, rows in splits(DATA, path, name).items()}
    assert sizes("ceval/ceval-exam", "accountant") == {"val": 49, "dev": 5}
    assert sizes("haonan-li/cmmlu", "agronomy") == {"test": 169, "dev": 5}
    assert sizes("cais/mmlu", "abstract_algebra") == {"test": 100, "validation": 11, "dev": 5}
    assert sizes("openai/gsm8k", "main") == {"train": 7473, "test": 1319}
    assert sizes("EleutherAI/hendrycks_math", "counting_and_probability") == {"train": 0, "test": 474}
    assert sizes("openai/openai_humaneval") == {"test": 164}
    assert sizes("hails/agieval-lsat-ar") == {"test": 230}


@pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not on this machine")
@pytest.mark.parametrize("count", [4, pytest.param(164, marks=pytest.mark.slow)])
def test_the_authors_solutions_pass_in_the_sandbox_and_others_do_not(count):
    rows = splits(DATA, "openai/openai_humaneval", None)["test"][:count]
    for row in rows:
        wrong = ("    return NotImplemented\n", "    raise SystemExit(0)\n", "    import os; os._exit(0)\n")
        assert passed(row, [row["canonical_solution"], *(wrong if count < 164 else wrong[:1])]) == 1, row["task_id"]
