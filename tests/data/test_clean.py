"""The data step as a whole."""

import json
import random

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json
from baichuan_jax.data import clean
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dataset import domains, read_documents

CHARACTERS = "第位客人说这家饭店的房间很干净服务也周到早餐一般入住后发觉设施较新相比同等价格酒店而言性高"
GOOD = ["".join(random.Random(n).choices(CHARACTERS, k=30)) + "。" for n in range(60)]
ZH = "入住后发觉设施较新，相比同等价格酒店而言，性价比高。"


def write(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path)


def texts(directory, domain, split):
    return [document["text"] for document in read_documents(directory, domain, split)]


def test_documents_go_through_every_step(tmp_path):
    rows = [*GOOD, "不错", GOOD[3], GOOD[3] + "  \r\n", "ＡＢＣ" + GOOD[0]]
    cfg = DataConfig({"zh": write(tmp_path / "a.jsonl", rows)}, validation_fraction=0.2)
    seen = []
    result = clean.build(cfg, tmp_path / "out", lambda *progress: seen.append(progress))

    train, validation = (texts(tmp_path / "out", "zh", split) for split in ("train", "validation"))
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
    assert seen == [("zh", 1, len(GOOD[0].encode()))]
    json.dumps(result)


def test_every_document_read_is_kept_or_removed(tmp_path):
    cfg = DataConfig({"reviews": "demo:zh_reviews"}, max_bytes=300_000)
    funnel = clean.build(cfg, tmp_path)["funnel"]["reviews"]
    gone = sum(entry["documents"] for entry in funnel["removed"].values())
    assert funnel["read"]["documents"] == funnel["kept"]["documents"] + gone
    assert funnel["kept"]["documents"] > 0.8 * funnel["read"]["documents"]
    for entry in funnel["removed"].values():
        assert 1 <= len(entry["samples"]) <= 3
        assert all(len(sample["text"]) <= 200 for sample in entry["samples"])


def test_the_split_does_not_depend_on_the_order_and_duplicates_never_cross_it(tmp_path):
    forward = {
        "a": write(tmp_path / "a.jsonl", GOOD),
        "b": write(tmp_path / "b.jsonl", [*GOOD[:30], ZH, "这台电脑的屏幕很大，颜色也漂亮，键盘手感一般。"]),
    }
    backward = {"a": write(tmp_path / "r.jsonl", GOOD[::-1] + GOOD)}
    clean.build(DataConfig(forward, validation_fraction=0.3), tmp_path / "1")
    clean.build(DataConfig(backward, validation_fraction=0.3), tmp_path / "2")
    for split in ("train", "validation"):
        assert set(texts(tmp_path / "1", "a", split)) == set(texts(tmp_path / "2", "a", split))
    held = {text for domain in domains(tmp_path / "1") for text in texts(tmp_path / "1", domain, "validation")}
    assert not held & {text for domain in domains(tmp_path / "1") for text in texts(tmp_path / "1", domain, "train")}


def test_the_same_config_gives_the_same_documents(tmp_path):
    cfg = DataConfig({"code": "demo:code"}, max_bytes=500_000)
    first, second = (clean.build(cfg, tmp_path / name) for name in ("1", "2"))
    assert first["domains"] == second["domains"]
    documents = [list(read_documents(tmp_path / name, "code", "train")) for name in ("1", "2")]
    assert documents[0] == documents[1]


def test_replaced_bytes_are_counted(tmp_path):
    write(tmp_path / "a.jsonl", GOOD)
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b'{"text": "' + (ZH * 5).encode() + b'\xff"}\n')
    result = clean.build(DataConfig({"zh": str(tmp_path / "a.jsonl")}), tmp_path / "out")
    assert result["funnel"]["zh"]["replaced"] == 1
    with pytest.raises(UserError, match=r"a\.jsonl:61: byte .* is not UTF-8"):
        clean.build(DataConfig({"zh": str(tmp_path / "a.jsonl")}, invalid_utf8="reject"), tmp_path / "out2")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "0 of 0 documents left, expected at least 2, to train and to validate on; removed: none"),
        (["不错", "很好", ZH, ZH, ZH], r"1 of 5 documents left, .* removed: too_short 2, duplicate 2"),
    ],
)
def test_too_little_left(tmp_path, rows, message):
    cfg = DataConfig({"ok": write(tmp_path / "ok.jsonl", GOOD), "zh": write(tmp_path / "a.jsonl", rows)})
    with pytest.raises(UserError, match=r"DataConfig.sources\['zh'\] = .*" + message):
        clean.build(cfg, tmp_path / "out")
    assert domains(tmp_path / "out") == ["ok"]
    assert not (tmp_path / "out" / "funnel.json").exists()


def test_no_sources(tmp_path):
    with pytest.raises(UserError, match=r"DataConfig.sources = {}: expected a domain at least"):
        clean.build(DataConfig(), tmp_path)


def test_of_near_duplicates_the_longest_stays_whatever_its_domain(tmp_path):
    short, long = GOOD[:40], GOOD[30:60]
    story = "".join(GOOD[:10])
    cfg = DataConfig(
        {
            "a": write(tmp_path / "a.jsonl", [*short, story[:-1] + "！", "开头" + GOOD[50][:8]]),
            "b": write(tmp_path / "b.jsonl", [*long[10:], story + "完"]),
        },
        validation_fraction=0.5,
    )
    funnel = clean.build(cfg, tmp_path / "out")["funnel"]
    kept = {
        text for domain in "ab" for split in ("train", "validation") for text in texts(tmp_path / "out", domain, split)
    }
    assert kept == {*short, *long[10:], story + "完", "开头" + GOOD[50][:8]}
    removed = funnel["a"]["removed"]["near_duplicate"]
    assert removed["documents"] == 1
    assert removed["samples"][0]["text"] == (story[:-1] + "！")[:200]
    assert "near_duplicate" not in funnel["b"]["removed"]
    assert not (tmp_path / "out" / "spool").exists()


def test_near_duplicates_may_stay(tmp_path):
    story = "".join(GOOD[:10])
    path = write(tmp_path / "a.jsonl", [*GOOD, story, story + "完"])
    counts = [
        clean.build(DataConfig({"a": path}, near_duplicate=threshold), tmp_path / str(threshold))["domains"]["a"]
        for threshold in (0.0, 0.8)
    ]
    assert [count["documents"] for count in counts] == [62, 61]
