"""Documents inside better ones go; those with much of their own stay; what went names what it went for."""

import json
import random

import pytest

from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dataset import read_documents
from baichuan_jax.data.dedup.config import DedupConfig
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.run_phases import build_corpus
from baichuan_jax.data.split import SPLITS
from baichuan_jax.jobs.config import RunnerConfig

HAN = [chr(point) for point in range(0x4E00, 0x5A00)]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PHRASES = (
    "好的。",
    "谢谢你。",
    "没关系。",
    "再见。",
    "我知道了。",
    "真的吗？",
    "不客气。",
    "请进来。",
    "对不起。",
    "太好了！",
)


def sentence(rng, least, most):
    return "".join(rng.choices(HAN, k=rng.randrange(least, most))) + "。"


def words(rng, number):
    first, *others = ("".join(rng.choices(LETTERS, k=rng.randrange(2, 8))) for _ in range(number))
    return " ".join([first.capitalize(), *others]) + "."


def dialogue(rng, lines):
    """Short lines, each less than what counts alone."""
    return "\n".join(f"“{sentence(rng, 3, 9)}”{sentence(rng, 2, 5)}" for _ in range(lines))


def english_dialogue(rng, lines):
    return "\n".join(f"“{words(rng, rng.randrange(2, 6))}” {words(rng, 2)}" for _ in range(lines))


def run(directory, texts):
    """Return (what stays, funnel) of texts."""
    source = directory / "in.jsonl"
    source.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    cfg = CorpusConfig(DataConfig({"text": str(source)}), dedup=DedupConfig(documents=0))
    result = build_corpus(cfg, RunnerConfig(workers=1), directory / "out")
    rows = (row for split in SPLITS for row in read_documents(directory / "out", "text", split))
    return {int(row["source"].rpartition(":")[2]) - 1: row["text"] for row in rows}, result["funnel"]["text"]


@pytest.mark.parametrize("make", [dialogue, english_dialogue])
def test_chapters_of_short_lines_go_inside_their_book(tmp_path, make):
    rng = random.Random(0)
    chapters = [make(rng, 60) for _ in range(8)]
    other = [make(rng, 60) for _ in range(3)]
    kept, funnel = run(tmp_path, ["\n\n".join(chapters), *chapters[:5], *other])
    assert sorted(kept) == [0, 6, 7, 8]
    assert funnel["removed"]["contained"]["documents"] == 5
    (sample, *_) = funnel["removed"]["contained"]["samples"]
    assert sample["text"][:100] == sample["twin"]["text"][:100]
    assert sample["twin"]["source"].endswith(":1")


@pytest.mark.parametrize(("share", "stays"), [(0.1, False), (0.36, True), (0.44, True)])
def test_the_share_is_of_all_that_a_document_says(tmp_path, share, stays):
    """The rest of a page stands in a better document, in long sentences; its own text is short lines."""
    rng = random.Random(1)
    shared = [sentence(rng, 20, 40) for _ in range(40)]
    own = dialogue(rng, 400)[: round(share / (1 - share) * sum(map(len, shared)))]
    book = "".join([*shared, *(sentence(rng, 20, 40) for _ in range(100))])
    kept, _ = run(tmp_path, [book, "".join(shared) + "\n\n" + own, "".join(sentence(rng, 20, 40) for _ in range(20))])
    assert (1 in kept) == stays


def test_pages_of_the_same_phrases_stay(tmp_path):
    rng = random.Random(2)
    pages = ["".join(rng.choices(PHRASES, k=150)) + sentence(rng, 20, 30) for _ in range(30)]
    kept, funnel = run(tmp_path, pages)
    assert "contained" not in funnel["removed"]
    assert len(kept) > 20
    assert len(kept) + sum(entry["documents"] for entry in funnel["removed"].values()) == len(pages)


def test_what_went_names_what_it_went_for(tmp_path):
    rng = random.Random(3)
    notice = "读者如果在这些页面里发现了文字上的错误，欢迎随时写信告诉编辑部的同事。"
    pages = ["".join(sentence(rng, 20, 40) for _ in range(12)) for _ in range(4)]
    texts = [pages[0] + notice + pages[1], pages[2] + notice + pages[3][:200], pages[0] + notice + pages[1]]
    _, funnel = run(tmp_path, texts)
    (duplicate,) = funnel["removed"]["duplicate"]["samples"]
    assert duplicate["twin"] == {"source": duplicate["twin"]["source"], "text": texts[0][:300]}
    assert duplicate["twin"]["source"] != duplicate["source"]
    (repeated,) = funnel["pruned"]["repeated"]["samples"]
    assert repeated["text"] == repeated["twin"]["text"] == notice
    assert {repeated["source"], repeated["twin"]["source"]} == {f"{tmp_path / 'in.jsonl'}:{line}" for line in (1, 2)}
