"""A domain of which nothing is left is an error that says why, and own text is read in two commands at most."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys

import pyarrow
import pytest
from pyarrow import parquet

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json
from baichuan_jax.data.dataset import read_documents
from baichuan_jax.data.split import SPLITS
from tests.data.flow.test_run_phases import GOOD, clean, write

PLACES = ("图书馆", "公园", "火车站", "菜市场", "博物馆", "电影院", "学校", "医院")
DOINGS = (
    "看了一会儿书",
    "遇见了多年不见的老朋友",
    "等了整整一个下午",
    "买了些新鲜的水果和蔬菜",
    "听了一场有意思的讲座",
)
DAYS = ("星期一早上", "上个周末", "国庆节那天", "下雨的傍晚", "放假以后")
TEXTS = [
    f"{day}，我和家人一起去了城里的{place}，在那里{doing}。第{number}次去的时候，路上的人比平时多了不少，大家都很高兴。"
    for number, (day, place, doing) in enumerate((d, p, a) for d in DAYS for p in PLACES for a in DOINGS)
]


@pytest.fixture
def own_text(tmp_path):
    """Return a domain of each format, in other fields and encodings."""
    parts = [TEXTS[start::6] for start in range(6)]
    for name in ("books", "table", "records", "pages", "columns", "lines"):
        (tmp_path / name).mkdir()
    for number, text in enumerate(parts[0]):
        (tmp_path / "books" / f"第{number}篇 [稿].txt").write_bytes(text.encode("gbk"))
    with (tmp_path / "table" / "a.csv").open("w", encoding="gb18030", newline="") as file:
        csv.writer(file).writerows([["编号", "正文"], *([n, f"{text}\n又一行。"] for n, text in enumerate(parts[1]))])
    rows = [{"title": "一次出门", "content": text} for text in parts[2]]
    (tmp_path / "records" / "a.json").write_text(json.dumps(rows, ensure_ascii=False))
    for number, text in enumerate(parts[3]):
        page = f"<html><head><meta charset=gb2312></head><body><article><p>{text}</p></article></body></html>"
        (tmp_path / "pages" / f"{number}.html").write_bytes(page.encode("gbk"))
    column = pyarrow.array(parts[4]).dictionary_encode()
    parquet.write_table(pyarrow.table({"id": range(len(parts[4])), "body": column}), tmp_path / "columns" / "a.parquet")
    (tmp_path / "lines" / "a.jsonl").write_bytes(
        "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in parts[5]).encode("gbk")
    )
    return tmp_path


def run(*arguments):
    """Run the command line; return (exit code, what it said)."""
    command = [sys.executable, "-m", "baichuan_jax.cli.main", *arguments]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stdout + done.stderr


def test_own_text_of_every_format_is_read_with_the_option_that_the_first_command_prints(own_text, tmp_path):
    pytest.importorskip("trafilatura")
    sources = {name: f"{own_text}/{name}/*" for name in ("books", "table", "records", "pages", "columns", "lines")}
    command = ["data", "configs/base.gin", "--set", f"RunConfig.workdir={tmp_path}/run"]
    command += ["--set", f"DataConfig.sources={sources!r}", "--set", "DedupConfig.documents=0"]
    command += ["--set", "DedupConfig.sentences=0"]
    code, said = run(*command)
    assert code == 2
    assert "fields: content, title; 'content' holds the most text" in said
    (option,) = re.findall(r'--set "DataConfig\.text_fields=\{.*?\}"', said)
    code, said = run(*command, *shlex.split(option))
    assert code == 0, said
    funnels = read_json(tmp_path / "run" / "data" / "funnel.json")
    for name in sources:
        assert funnels[name]["kept"]["documents"] > 25, name
        assert not funnels[name]["replaced"]
    assert [name for name in sources if funnels[name]["encodings"]] == ["books", "table", "pages", "lines"]
    found = {
        d["text"] for name in sources for split in SPLITS for d in read_documents(tmp_path / "run/data", name, split)
    }
    assert {text for text in TEXTS if text in found or any(text in other for other in found)} == set(TEXTS)


def test_it_is_told_before_the_other_phases(tmp_path):
    sources = {"a": write(tmp_path / "a.jsonl", GOOD), "b": write(tmp_path / "b.jsonl", ["短", "短短"])}
    phases = []
    with pytest.raises(UserError) as error:
        clean(tmp_path / "out", sources, progress=lambda name, *_: phases.append(name))
    said = str(error.value)
    assert "DataConfig.sources['b'] = " in said
    assert "0 of 2 documents left" in said
    assert "removed: too_short 2" in said
    assert "--set RunnerConfig.vanished=skip" in said
    assert set(phases) == {"read"}
    result = clean(tmp_path / "out", sources, runner={"vanished": "skip"})
    assert result["domains"]["b"]["documents"] == 0


def test_a_domain_that_duplicates_empty_is_told_at_the_end(tmp_path):
    sources = {"a": write(tmp_path / "a.jsonl", GOOD), "b": write(tmp_path / "b.jsonl", GOOD[:9])}
    phases = []
    with pytest.raises(UserError, match=r"sources\['b'\].*removed: duplicate 9"):
        clean(tmp_path / "out", sources)
    clean(tmp_path / "out", sources, runner={"vanished": "skip"}, progress=lambda *entry: phases.append(entry))
    assert all(done == of for _, done, of in phases)  # nothing is done again


def test_all_domains_that_vanish_are_named_with_one_option(tmp_path):
    (tmp_path / "a.csv").write_text("title,body\n" + "".join(f"{n},{text}\n" for n, text in enumerate(GOOD)))
    (tmp_path / "b.json").write_text(json.dumps({"data": [{"id": "1", "meta": {"text": text}} for text in GOOD]}))
    with pytest.raises(UserError) as error:
        clean(tmp_path / "out", {"a": str(tmp_path / "a.csv"), "b": str(tmp_path / "b.json")})
    assert "--set \"DataConfig.text_fields={'a': 'body', 'b': 'meta.text'}\"" in str(error.value)


def test_a_wrong_encoding_is_named(tmp_path):
    for number, text in enumerate(GOOD[:9]):
        (tmp_path / f"{number}.txt").write_bytes(text.encode("gbk"))
    with pytest.raises(UserError, match=r"set in DataConfig\.encodings; remove the entry to detect the encoding"):
        clean(tmp_path / "out", {"a": f"{tmp_path}/*.txt"}, data={"encodings": {"a": "utf-8"}})


def test_a_cut_of_text_without_a_model_is_refused(tmp_path):
    english = [
        f"Number {n} of the letters says that the weather is fine and that all of us are well." for n in range(30)
    ]
    sources = {"a": write(tmp_path / "a.jsonl", GOOD), "b": write(tmp_path / "b.jsonl", english)}
    dedup = {"documents": 0, "sentences": 0}
    for name in ("cut", "sentence_cut"):
        with pytest.raises(
            UserError, match=rf"QualityConfig.{name} = 0.5: .*in 'en' \(no examples of good text\), 'zh' \(no"
        ) as error:
            clean(tmp_path / name, sources, quality={"good": ("a",), "bad": ("b",), name: 0.5}, dedup=dedup)
        assert "--set \"QualityConfig.unscored=('en', 'zh')\"" in str(error.value)
