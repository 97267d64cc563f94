"""Source specifications."""

import fsspec
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import fingerprint
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.sources.units import read_unit, source_files, source_units


def read_source(spec, **settings):
    cfg = DataConfig({"a": spec}, **settings)
    return [found for unit in source_units(cfg) for found in read_unit(unit, cfg)]


@pytest.fixture
def texts(tmp_path):
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text(name * 20)  # 100 bytes
    return tmp_path


def test_several_patterns_in_the_order_given_each_file_once(texts):
    files = source_files(f"{texts}/c.txt; {texts}/*.txt")
    assert [path.name for path in files] == ["c.txt", "a.txt", "b.txt"]


@pytest.mark.parametrize(("limit", "documents"), [(0, 3), (1, 1), (100, 1), (101, 2), (10_000, 3)])
def test_max_bytes_stops_with_the_document_that_reaches_it(texts, limit, documents):
    assert len(read_source(f"{texts}/*.txt", max_bytes=limit)) == documents


def test_the_text_field_is_used(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "x"}')
    (document,) = read_source(f"{tmp_path}/a.jsonl", text_field="body")
    assert document.text == "x"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("demos:code", "unknown kind of source 'demos'"),
        ("demo:nothing", "no such demo corpus; available: zh_reviews, zh_news, en_speeches, code"),
        ("tfds:", "expected tfds:NAME"),
        ("tfds:a b", "expected tfds:NAME"),
    ],
)
def test_bad_specifications(spec, message):
    for use in (source_files, lambda spec: read_source(spec)):
        with pytest.raises(UserError, match=message):
            use(spec)


@pytest.mark.parametrize(("size", "groups"), [(99, ["a", "b", "c"]), (200, ["ab", "c"]), (10_000, ["abc"])])
def test_a_unit_is_consecutive_files_up_to_a_size(texts, size, groups):
    units = source_units(DataConfig({"a": f"{texts}/*.txt"}, task_bytes=size))
    assert ["".join(path.stem for path in unit.files) for unit in units] == groups
    assert len(source_units(DataConfig({"a": f"{texts}/*.txt"}, task_bytes=size, max_bytes=10))) == 1


def test_units_of_a_demo_corpus_hold_all_of_it():
    whole = read_source("demo:en_speeches")
    assert len(source_units(DataConfig({"a": "demo:en_speeches"}, task_bytes=1_000_000))) > 5
    assert read_source("demo:en_speeches", task_bytes=1_000_000) == whole


def test_other_storage_through_fsspec():
    storage = fsspec.filesystem("memory")
    for name, text in {"b.jsonl": '{"text": "二"}\n', "a.jsonl": '{"text": "一"}\n', "c.txt": "三"}.items():
        storage.pipe(f"/bucket/{name}", text.encode())
    spec = "memory://bucket/*.jsonl; memory://bucket/c.txt"
    found = read_source(spec)
    assert [(document.text, document.source) for document in found] == [
        ("一", "memory:///bucket/a.jsonl:1"),
        ("二", "memory:///bucket/b.jsonl:1"),
        ("三", "memory:///bucket/c.txt"),
    ]
    before = fingerprint(source_files(spec))
    assert fingerprint(source_files(spec)) == before
    storage.pipe("/bucket/a.jsonl", b'{"text": "changed"}\n')
    assert fingerprint(source_files(spec)) != before
    with pytest.raises(UserError, match=r"no file matches 'memory://bucket/x\*'"):
        source_files("memory://bucket/x*")
    with pytest.raises(UserError, match=r"nowhere://a\.txt: Protocol not known: nowhere"):
        source_files("nowhere://a.txt")
    with pytest.raises(UserError, match=r"s3://bucket/a\.txt: .*s3fs"):
        source_files("s3://bucket/a.txt")
