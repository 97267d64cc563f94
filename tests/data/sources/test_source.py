"""Source specifications."""

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.sources.source import read_source, source_files


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
    assert len(list(read_source(f"{texts}/*.txt", DataConfig(max_bytes=limit)))) == documents


def test_the_text_field_is_used(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "x"}')
    (document,) = read_source(f"{tmp_path}/a.jsonl", DataConfig(text_field="body"))
    assert document.text == "x"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("demos:code", "'demos' is no kind of source"),
        ("demo:nothing", "no such demo corpus; there are zh_reviews, zh_news, en_speeches, code"),
        ("tfds:", "expected tfds:NAME"),
        ("tfds:a b", "expected tfds:NAME"),
    ],
)
def test_bad_specifications(spec, message):
    for use in (source_files, lambda spec: list(read_source(spec, DataConfig()))):
        with pytest.raises(UserError, match=message):
            use(spec)
