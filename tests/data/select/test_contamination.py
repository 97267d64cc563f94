"""A document that holds a run of an evaluation set is found, and no other is."""

import gzip
import json
import random
import zipfile
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.dedup.ngrams import ngrams
from baichuan_jax.data.dedup.shingles import BATCH
from baichuan_jax.data.select.contamination import EvaluationSets
from baichuan_jax.data.select.records import set_files
from baichuan_jax.data.sources.demo import read_demo

QUESTION = "下列关于中国古代文学作品的叙述中，哪一项是不正确的？请选择一个答案。"
ENGLISH = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May."


@pytest.fixture
def sets(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"q": {"text": [QUESTION, "短"]}, "n": 3}) + "\n\n")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("dev/x.csv", f'id,question\n1,"{ENGLISH}"\n')
    found, counts = EvaluationSets.read([str(tmp_path / "a.jsonl"), str(tmp_path / "b.zip")], 13)
    assert counts == [{"strings": 2, "runs": 19, "too_short": 1}, {"strings": 4, "runs": 8, "too_short": 3}]
    found.save(tmp_path / "runs.npz")
    return EvaluationSets.load(tmp_path / "runs.npz")


def test_runs_are_found_whatever_is_around_them_and_however_they_are_spaced(sets):
    texts = [
        "前文。" + QUESTION[3:20] + "后文",
        QUESTION[3:15],  # twelve tokens
        "Intro. natalia SOLD clips to 48 of her\nfriends (in April), and then she sold nothing.",
        "Natalia sold clips to 48 of her friends, and half as many clips in May.",
        "",
        ENGLISH + QUESTION,
        "x" * (BATCH + 5) + " " + QUESTION,
    ]
    assert sets.find(texts).tolist() == [0, -1, 1, -1, -1, 1, 0]
    assert sets.find([]).tolist() == []


def test_real_text_is_clean_and_a_planted_question_is_not(sets):
    texts = [document.text for document in islice(read_demo("zh_news", "skip"), 300)]
    assert (sets.find(texts) == -1).all()
    rng = random.Random(0)
    planted = []
    for text in texts:
        at = rng.randrange(len(text))
        planted.append(text[:at] + QUESTION + text[at:])
    assert (sets.find(planted) == 0).all()


def test_no_sets_find_nothing():
    sets, counts = EvaluationSets.read([], 13)
    assert sets.find([QUESTION]).tolist() == [-1]
    assert counts == []


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from("天地玄黄ab"), max_size=12).map(" ".join), max_size=6), st.integers(2, 5))
def test_runs_are_equal_where_their_tokens_are(texts, length):
    hashes, numbers = ngrams(texts, length)
    expected = [tuple(words[at : at + length]) for words in map(str.split, texts) for at in range(len(words))]
    expected = [run for run in expected if len(run) == length]
    assert numbers.sum() == len(hashes) == len(expected)
    assert len(set(zip(hashes.tolist(), expected))) == len(set(hashes.tolist())) == len(set(expected))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{", r"a\.jsonl: cannot be read as an evaluation set"),
        ("a.zip", b"PK", r"a\.zip: cannot be read as an evaluation set"),
        ("a.csv.gz", gzip.compress(b"a,b" * 99, mtime=0)[:20], r"a\.csv\.gz: cannot be read as an evaluation set"),
        ("a.bin", b"", r"a\.bin: no evaluation set is read from such a file; endings: \.jsonl"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        EvaluationSets.read([str(tmp_path / name)], 13)


def test_a_set_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no file matches"):
        set_files(str(tmp_path / "*.zip"))
