"""The data step as a whole."""

import json
import os
import random
import signal
import subprocess
import sys
from itertools import islice

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dataset import domains, read_documents
from baichuan_jax.data.dedup.config import DedupConfig
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.run_phases import build_corpus
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.select.config import SelectConfig
from baichuan_jax.data.sources.demo import read_demo
from baichuan_jax.data.split import SPLITS
from baichuan_jax.jobs.config import RunnerConfig

CHARACTERS = "第位客人说这家饭店的房间很干净服务也周到早餐一般入住后发觉设施较新相比同等价格酒店而言性高"
GOOD = ["".join(random.Random(n).choices(CHARACTERS, k=30)) + "。" for n in range(60)]
ZH = "入住后发觉设施较新，相比同等价格酒店而言，性价比高。"


def write(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path)


def clean(directory, sources, data=None, select=None, dedup=None, quality=None, runner=None, progress=None):
    """Run the data step."""
    cfg = CorpusConfig(
        DataConfig(sources, **(data or {})),
        dedup=DedupConfig(**(dedup or {})),
        quality=QualityConfig(**(quality or {})),
        select=SelectConfig(**{"validation_fraction": 0.2, **(select or {})}),
    )
    return build_corpus(cfg, RunnerConfig(**(runner or {})), directory, progress)


def texts(directory, domain, *splits):
    return [document["text"] for split in splits or SPLITS for document in read_documents(directory, domain, split)]


def files(directory):
    """Return the bytes of everything that a data step leaves."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_documents_go_through_every_step(tmp_path):
    rows = [*GOOD, "不错", GOOD[3], GOOD[3] + "  \r\n", "ＡＢＣ" + GOOD[0]]
    seen = []
    result = clean(
        tmp_path / "out",
        {"zh": write(tmp_path / "a.jsonl", rows)},
        dedup={"sentences": 0},
        progress=lambda *entry: seen.append(entry),
    )
    train, validation = (texts(tmp_path / "out", "zh", split) for split in SPLITS)
    assert sorted(train + validation) == sorted([*GOOD[1:], "ABC" + GOOD[0]])
    assert 3 < len(validation) < 30
    funnel = result["funnel"]["zh"]
    assert funnel["read"]["documents"] == 64
    assert funnel["kept"] == {"documents": 60, "bytes": sum(len(text.encode()) for text in train + validation)}
    assert {reason: entry["documents"] for reason, entry in funnel["removed"].items()} == {
        "too_short": 1,
        "duplicate": 2,
        "near_duplicate": 1,
    }
    assert funnel["removed"]["too_short"]["samples"] == [{"source": f"{tmp_path}/a.jsonl:61", "text": "不错"}]
    assert read_json(tmp_path / "out" / "funnel.json") == result["funnel"]
    counts = result["domains"]["zh"]
    assert counts["train"] == {"documents": len(train), "bytes": sum(len(text.encode()) for text in train)}
    assert counts["validation"]["documents"] == len(validation)
    assert (counts["documents"], counts["language"]) == (60, {"zh": 60})
    assert seen[0][0] == "read"
    assert seen[-1] == ("write", 1, 1)
    assert not (tmp_path / "out" / "work").exists()
    assert list(dict.fromkeys(name for name, *_ in seen)) == [
        *("read", "exact_dedup", "evaluation_sets", "minhash", "near_dedup"),
        *("sentence_minhash", "sentence_dedup", "assign", "write"),
    ]
    json.dumps(result)


def test_every_document_read_is_kept_or_removed(tmp_path):
    funnel = clean(tmp_path, {"reviews": "demo:zh_reviews"}, data={"max_bytes": 300_000})["funnel"]["reviews"]
    gone = sum(entry["documents"] for entry in funnel["removed"].values())
    assert funnel["read"]["documents"] == funnel["kept"]["documents"] + gone
    assert funnel["kept"]["documents"] > 0.8 * funnel["read"]["documents"]
    for entry in funnel["removed"].values():
        assert 1 <= len(entry["samples"]) <= 10
        assert all(len(sample["text"]) <= 300 for sample in entry["samples"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Real text of two languages in several files, with exact and near copies, shuffled."""
    directory = tmp_path_factory.mktemp("corpus")
    rng = random.Random(1)
    for name, count in {"zh_reviews": 900, "zh_news": 150, "en_speeches": 6}.items():
        rows = [document.text[:20_000] for document in islice(read_demo(name, "skip"), count)]
        copies = [text[:-1] + "~" for text in rows[:: max(1, len(rows) // 20)]] + rows[:15]
        rng.shuffle(rows)
        rows += copies
        for part in range(3):
            write(directory / f"{name}-{part}.jsonl", rows[part::3])
    return directory


def sources(directory):
    names = ("zh_reviews", "zh_news", "en_speeches")
    return {name: str(directory / f"{name}-*.jsonl") for name in names}


QUALITY = {"good": ("zh_news",), "bad": ("zh_reviews",), "examples": 300}


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    """Return the corpus cleaned by one process."""
    directory = tmp_path_factory.mktemp("alone")
    clean(directory, sources(corpus), data={"task_bytes": 60_000}, quality=QUALITY)
    return directory


def test_any_number_of_workers_makes_the_same_bytes(corpus, alone, tmp_path):
    clean(tmp_path, sources(corpus), data={"task_bytes": 60_000}, quality=QUALITY, runner={"workers": 2})
    assert files(tmp_path) == files(alone)


@pytest.mark.slow
def test_slurm_makes_the_same_bytes(corpus, alone, tmp_path, partition):
    runner = {"kind": "slurm", "partition": partition, "workers": 2, "memory": 1}
    clean(tmp_path / "out", sources(corpus), data={"task_bytes": 60_000}, quality=QUALITY, runner=runner)
    assert files(tmp_path / "out") == files(alone)


@pytest.mark.ray
def test_ray_makes_the_same_bytes(corpus, alone, tmp_path):
    runner = {"kind": "ray", "workers": 2, "memory": 1}
    clean(tmp_path, sources(corpus), data={"task_bytes": 60_000}, quality=QUALITY, runner=runner)
    assert files(tmp_path) == files(alone)


def test_the_order_of_the_input_does_not_matter(corpus, alone, tmp_path):
    for path in corpus.glob("*.jsonl"):
        lines = path.read_text().splitlines()
        random.Random(2).shuffle(lines)
        (tmp_path / path.name).write_text("\n".join(lines))
    clean(tmp_path / "out", sources(tmp_path), data={"task_bytes": 10**9}, quality=QUALITY)
    for domain in sources(corpus):
        for split in SPLITS:
            assert sorted(texts(tmp_path / "out", domain, split)) == sorted(texts(alone, domain, split)), domain


def test_scores_and_provenance_are_kept(corpus, alone):
    documents = list(read_documents(alone, "zh_news", "train"))
    assert all(0 < document["score"] < 1 for document in documents)
    assert all(document["score"] == -1 for document in read_documents(alone, "en_speeches", "train"))
    path, line = documents[0]["source"].rsplit(":", 1)
    with open(path) as file:
        assert json.loads(next(islice(file, int(line) - 1, None)))["text"][:20].strip() in documents[0]["text"]
    reviews = [document["score"] for document in read_documents(alone, "zh_reviews", "train")]
    news = [document["score"] for document in documents]
    assert sorted(news)[len(news) // 2] > sorted(reviews)[len(reviews) // 2] + 0.3


def test_a_cut_removes_what_is_scored_below_it(corpus, alone, tmp_path):
    quality = {**QUALITY, "cut": 0.5, "unscored": ("en",)}
    clean(tmp_path, sources(corpus), quality=quality, dedup={"documents": 0, "sentences": 0})
    kept = [document for split in SPLITS for document in read_documents(tmp_path, "zh_reviews", split)]
    assert kept
    assert min(document["score"] for document in kept) >= 0.5
    assert len(texts(tmp_path, "zh_reviews")) < len(texts(alone, "zh_reviews"))
    assert texts(tmp_path, "en_speeches")  # has no model, so no score to cut at


SCRIPT = """
import sys, time
from pathlib import Path
from baichuan_jax.data.flow import run_phases, config
from baichuan_jax.data.config import DataConfig
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.select.config import SelectConfig
if __name__ == "__main__":
    cfg = config.CorpusConfig(
        DataConfig({sources!r}, task_bytes=60_000),
        quality=QualityConfig(**{quality!r}),
        select=SelectConfig(validation_fraction=0.2),
    )
    print("started", flush=True)
    def show(*progress):
        print(*progress, flush=True)
        if " ".join(map(str, progress)).startswith(sys.argv[3]):
            time.sleep(60)  # until the signal comes
    run_phases.build_corpus(cfg, RunnerConfig(workers=int(sys.argv[2])), Path(sys.argv[1]), show)
"""


@pytest.mark.parametrize(
    ("phase", "workers", "number"),
    [("read 2", 1, signal.SIGKILL), ("minhash 1", 2, signal.SIGKILL), ("write 4", 1, signal.SIGINT)],
)
def test_interrupted_anywhere_it_ends_with_the_same_bytes(corpus, alone, tmp_path, phase, workers, number):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(sources=sources(corpus), quality=QUALITY))
    out = tmp_path / "out"
    command = [sys.executable, str(script), str(out), str(workers)]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([*command, phase], env=environment, **quiet) as run:
        for line in run.stdout:
            if line.startswith(phase):
                run.send_signal(number)
                break
        run.wait(60)
    assert run.returncode != 0
    assert (out / "work").exists()
    subprocess.run([*command, "no phase"], check=True, env=environment, stdout=subprocess.DEVNULL)
    assert files(out) == files(alone)


def test_a_cap_keeps_the_best(tmp_path, corpus, alone):
    kept = texts(alone, "zh_reviews")
    size = sum(len(text.encode()) for text in kept)
    clean(tmp_path, sources(corpus), quality=QUALITY, select={"max_bytes": {"zh_reviews": size // 2}})
    capped = texts(tmp_path, "zh_reviews")
    assert 0.4 * size < sum(len(text.encode()) for text in capped) <= size // 2
    assert set(capped) <= set(kept)
    assert sorted(texts(tmp_path, "zh_news")) == sorted(texts(alone, "zh_news"))


def test_documents_that_hold_a_test_question_go(tmp_path):
    question = "下列关于这家酒店的叙述，哪一项是不正确的，请选择其中一个答案"
    write(tmp_path / "set.jsonl", [question])
    rows = [*GOOD, GOOD[0] + question + GOOD[1], GOOD[2] + question[:8]]
    result = clean(
        tmp_path / "out",
        {"zh": write(tmp_path / "a.jsonl", rows)},
        select={"evaluation_sets": {"quiz": str(tmp_path / "set.jsonl")}},
    )
    assert result["funnel"]["zh"]["removed"]["contaminated"]["documents"] == 1
    assert result["evaluation_sets"]["quiz"]["strings"] == 1
    assert not any(question in text for text in texts(tmp_path / "out", "zh"))


def test_duplicates_never_cross_the_split(tmp_path):
    sources = {
        "a": write(tmp_path / "a.jsonl", GOOD),
        "b": write(tmp_path / "b.jsonl", [*GOOD[:30], ZH, "这台电脑的屏幕很大，颜色也漂亮，键盘手感一般。"]),
    }
    clean(tmp_path / "out", sources, select={"validation_fraction": 0.3})
    held = {text for domain in domains(tmp_path / "out") for text in texts(tmp_path / "out", domain, "validation")}
    trained = {text for domain in domains(tmp_path / "out") for text in texts(tmp_path / "out", domain, "train")}
    assert not held & trained
    assert len(texts(tmp_path / "out", "b")) == 2


def test_replaced_bytes_are_counted(tmp_path):
    write(tmp_path / "a.jsonl", GOOD)
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b'{"text": "' + ("这台电脑的屏幕很大，颜色也漂亮。" * 5).encode() + b'\xff"}\n')
    result = clean(tmp_path / "out", {"zh": str(tmp_path / "a.jsonl")})
    assert result["funnel"]["zh"]["replaced"] == 1
    with pytest.raises(UserError, match=r"a\.jsonl:61: byte .* is not UTF-8"):
        clean(tmp_path / "out2", {"zh": str(tmp_path / "a.jsonl")}, data={"damaged": "stop"})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "0 of 0 documents left, expected at least 2, to train and to validate on; removed: none"),
        (["不错", "很好", ZH, ZH, ZH], r"1 of 5 documents left, .* removed: too_short 2, duplicate 2"),
    ],
)
def test_too_little_left(tmp_path, rows, message):
    sources = {"zh": write(tmp_path / "a.jsonl", rows), "none": write(tmp_path / "none.jsonl", ["不错"])}
    with pytest.raises(UserError, match=r"DataConfig.sources\['zh'\] = .*" + message):
        clean(tmp_path / "out", sources, runner={"vanished": "skip"})
    assert not (tmp_path / "out" / "corpus").exists()
    assert not (tmp_path / "out" / "funnel.json").exists()


def test_a_domain_of_which_too_little_is_left_goes_alone(tmp_path):
    sources = {
        "copy": write(tmp_path / "copy.jsonl", [ZH, "不错", text := GOOD[0] + "另外"]),
        "ok": write(tmp_path / "ok.jsonl", [*GOOD, ZH + GOOD[1] + GOOD[2], text + GOOD[3]]),
    }
    result = clean(tmp_path / "out", sources, runner={"vanished": "skip"})
    assert domains(tmp_path / "out") == ["ok"]
    assert result["domains"]["copy"]["documents"] == result["funnel"]["copy"]["kept"]["documents"] == 0
    removed = {reason: entry["documents"] for reason, entry in result["funnel"]["copy"]["removed"].items()}
    assert removed["too_short"] == 1
    assert sum(removed.values()) == 3
    assert result["domains"]["ok"]["train"]["documents"] > 40
    json.dumps(result)


def test_no_sources(tmp_path):
    with pytest.raises(UserError, match=r"DataConfig.sources = {}: expected a domain"):
        clean(tmp_path, {})


def test_of_near_duplicates_the_longest_stays_whatever_its_domain(tmp_path):
    short, long = GOOD[:40], GOOD[30:60]
    story = "".join(GOOD[:10])
    sources = {
        "a": write(tmp_path / "a.jsonl", [*short[10:], story[:-1] + "！", "开头" + GOOD[50][:8]]),
        "b": write(tmp_path / "b.jsonl", [*long[10:], story + "完"]),
    }
    funnel = clean(tmp_path / "out", sources, dedup={"sentences": 0})["funnel"]
    kept = {text for domain in "ab" for text in texts(tmp_path / "out", domain)}
    assert kept == {*short[10:], *long[10:], story + "完", "开头" + GOOD[50][:8]}
    removed = funnel["a"]["removed"]["near_duplicate"]
    assert removed["documents"] == 1
    assert removed["samples"][0]["text"] == (story[:-1] + "！")[:300]
    assert "near_duplicate" not in funnel["b"]["removed"]


def test_sentences_that_many_documents_share_stay_in_one(tmp_path):
    notice = "本文版权归原作者所有，未经书面许可任何人不得转载摘编。"
    rows = [text + notice for text in GOOD[:30]] + GOOD[30:]
    result = clean(tmp_path / "out", {"zh": write(tmp_path / "a.jsonl", rows)})
    kept = texts(tmp_path / "out", "zh")
    assert len(kept) == 60
    assert sum(notice in text for text in kept) <= 1
    assert sum(entry["documents"] for entry in result["funnel"]["zh"]["pruned"].values()) >= 29


def test_a_document_inside_another_goes_whole(tmp_path):
    sentence = ["".join(random.Random(n).choices(CHARACTERS, k=25)) + "。" for n in range(1000, 1200)]
    book, chapter = "".join(sentence), "".join(sentence[50:70])
    rows = [*GOOD, book, chapter]
    result = clean(tmp_path / "out", {"zh": write(tmp_path / "a.jsonl", rows)})
    assert result["funnel"]["zh"]["removed"]["contained"]["documents"] == 1
    assert book in texts(tmp_path / "out", "zh")
