"""Test questions are cut out of documents, which become several; what went, and for which question, is counted."""

import json
import random

import pytest

from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dataset import read_documents
from baichuan_jax.data.dedup.config import DedupConfig
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.run_phases import build_corpus
from baichuan_jax.data.select.config import SelectConfig
from baichuan_jax.data.split import SPLITS
from baichuan_jax.jobs.config import RunnerConfig

QUESTION, CHOICES = "山脚下那座石桥是由谁出钱修起来的", ("村里的老木匠", "路过的盐商", "县城的学堂", "没有人知道")
ROW = {"question": QUESTION, "options": list(CHOICES), "answer": "B"}
PRINTED = QUESTION + "？\n" + "\n".join(f"{letter}．{text}" for letter, text in zip("ABCD", CHOICES))
CHARACTERS = "山水田园人家灯火远近高低来去早晚春秋冬夏花木鸟兽虫鱼江河湖海风云雨雪日月星辰东南西北上下左右前后"


def page(seed, sentences=90):
    rng = random.Random(seed)
    return "".join("".join(rng.choices(CHARACTERS, k=rng.randrange(14, 20))) + "。" for _ in range(sentences))


def planted(seed):
    text = page(seed)
    at = text.index("。", len(text) // 2) + 1
    return f"{text[:at]}\n{PRINTED}\n{text[at:]}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that runs the data step on texts in some order, and return (result, documents)."""
    directory = tmp_path_factory.mktemp("questions")
    (directory / "quiz.jsonl").write_text(json.dumps(ROW) + "\n" + json.dumps({"question": "二加三", "A": "五"}) + "\n")

    def run(name, texts, **runner):
        path = directory / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        cfg = CorpusConfig(
            DataConfig({"zh": str(path)}, task_bytes=20_000),
            dedup=DedupConfig(documents=0),
            select=SelectConfig(evaluation_sets={"quiz": str(directory / "quiz.jsonl")}),
        )
        result = build_corpus(cfg, RunnerConfig(**runner), directory / name)
        return result, [document for split in SPLITS for document in read_documents(directory / name, "zh", split)]

    return run


def test_a_question_is_cut_out_and_the_document_split(run):
    clean = [page(seed) for seed in range(12)]
    result, documents = run("one", [*clean, planted(100), planted(101), PRINTED + page(102, 5)])
    texts = [document["text"] for document in documents]
    assert not any(part in text for text in texts for part in (QUESTION, *CHOICES))
    assert set(clean) <= set(texts)
    pieces = [document for document in documents if document["text"] not in clean]
    assert len(pieces) == 4
    ids = sorted(document["id"] for document in pieces)
    assert [name.partition(".")[2] for name in ids] == ["", "1", "", "1"]
    assert ids[1] == f"{ids[0]}.1"
    assert len({document["id"] for document in documents}) == len(documents)
    for seed in (100, 101):
        ours = [document["text"] for document in pieces if document["text"] in page(seed)]
        assert len(ours) == 2
        assert all(text.endswith("。") and text[0] != "。" for text in ours)
        assert 0 <= len(page(seed)) - sum(map(len, ours)) <= 400
    funnel = result["funnel"]["zh"]
    twin = {"source": "quiz.jsonl row 1", "text": "\n".join((QUESTION, *CHOICES))}
    (gone,) = funnel["removed"]["contaminated"]["samples"]
    assert gone["twin"] == twin
    assert [sample["twin"] for sample in funnel["pruned"]["contaminated"]["samples"]] == [twin, twin]
    assert all(QUESTION in sample["text"] for sample in funnel["pruned"]["contaminated"]["samples"])
    assert funnel["kept"]["documents"] == len(documents) == 16
    counts = result["evaluation_sets"]["quiz"]
    assert (counts["rows"], counts["searched"], counts["too_short"], counts["documents"]) == (2, 1, 1, 3)
    assert counts["short"] == [{"source": "quiz.jsonl row 2", "text": "二加三\n五"}]
    pruned = funnel["pruned"]["contaminated"]["bytes"] + gone_bytes(funnel)
    assert 3 * len(PRINTED) < counts["characters"] < pruned


def gone_bytes(funnel):
    return funnel["removed"]["contaminated"]["bytes"]


def test_order_and_workers_change_nothing(run):
    texts = [*(page(seed) for seed in range(6)), planted(100), PRINTED, planted(101)]
    _, one = run("ordered", texts)
    _, two = run("shuffled", random.Random(1).sample(texts, len(texts)), workers=2)
    values = [sorted((document["id"], document["text"]) for document in documents) for documents in (one, two)]
    assert values[0] == values[1]


def test_a_sentence_that_goes_with_a_question_stays_elsewhere(run):
    text = planted(100)
    beside = text[: text.index(QUESTION)].rstrip("\n").split("。")[-2] + "。"
    other = page(200, 20) + beside + page(201, 20)
    _, documents = run("beside", [*(page(seed) for seed in range(5)), text, other])
    assert sum(beside in document["text"] for document in documents) == 1
    assert other in [document["text"] for document in documents]
