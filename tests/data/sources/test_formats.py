"""CSV, JSON of every shape, compressions and encodings of them."""

import bz2
import gzip
import json
import lzma

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import Reading
from baichuan_jax.data.sources.file_formats import find_files, read_file
from baichuan_jax.data.sources.units import all_source_files

ONE, TWO = "今天天气很好，我们去公园散步。", "明天要下雨了，\n就在家里看书。"


def read(path, raw, **settings):
    path.write_bytes(raw)
    return list(read_file(path, Reading(**settings)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("a.csv", f'id,text\r\n1,"{ONE}"\r\n\r\n2,"{TWO}"\r\n'),
        ("a.csv", f'id;text\n1;{ONE}\n2;"{TWO}"\n'),
        ("a.csv", f'sep=;\nid;text\n1;{ONE}\n2;"{TWO}"\n'),
        ("a.csv", f'text\tid\n{ONE}\t1\n"{TWO}"\t2\n'),
        ("a.tsv", f'text\n{ONE}\n"{TWO}"\n'),
        ("a.csv", f'"text"\n"{ONE}"\n"{TWO}"'),
        ("a.json", json.dumps([{"text": ONE}, {"text": TWO}], ensure_ascii=False)),
        ("a.json", json.dumps({"data": [{"text": ONE}, {"text": TWO}], "version": 1}, ensure_ascii=False, indent=2)),
        ("a.json", json.dumps({"text": [ONE, TWO], "id": [1, 2]}, ensure_ascii=False)),
        ("a.json", json.dumps({"text": {"0": ONE, "1": TWO}}, ensure_ascii=False)),
        ("a.json", "".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in (ONE, TWO))),
        ("a.jsonl", "".join(json.dumps({"text": t}, ensure_ascii=False) + "\r" for t in (ONE, TWO))),
        ("a.ndjson", "".join(json.dumps({"text": t}, ensure_ascii=False) + "\r\n" for t in (ONE, TWO))),
    ],
)
def test_documents_are_read(tmp_path, encoding, name, rows):
    found = read(tmp_path / name, rows.encode(encoding))
    assert [document.text for document in found] == [ONE, TWO]
    assert not any(document.replaced for document in found)


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.compress),
        (".GZ", gzip.compress),
    ],
)
def test_compressions(tmp_path, ending, pack):
    csv = f"text\n{ONE}\n".encode("gb18030")
    line = json.dumps({"text": ONE}).encode()
    for name, raw in {
        "a.txt": ONE.encode("gbk"),
        "a.CSV": csv,
        "a.json": line,
        "a.jsonl": line,
        "a.md": ONE.encode(),
    }.items():
        (found,) = read(tmp_path / f"{name}{ending}", pack(raw))
        assert found.text == ONE
        (broken,) = read(tmp_path / f"{name}{ending}", pack(raw * 50)[:-9])[-1:]
        assert broken.reason == "truncated_file"


def test_line_ends_of_unicode_end_no_line(tmp_path):
    text = "one\u2028two\u0085three\x0bfour\x1cfive"
    (found,) = read(tmp_path / "a.jsonl", (json.dumps({"text": text}, ensure_ascii=False) + "\n").encode())
    assert found.text == text
    (found,) = read(tmp_path / "a.csv", f"text\n{text}\n".encode())
    assert found.text.strip() == text


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ('id,text\n1,"never closed\n2,fine\n3,fine too\n', ["fine", "fine too"]),
        ('id,text\n1,"a"b\n2,c\n', ["ab", "c"]),
        ("id,text\n1,one, two, three\n2,c\n", ["one, two, three", "c"]),
        ("text,id\n" + "x" * 300_000 + ",1\n", ["x" * 300_000]),
        ("id,text\n1,a\0b\n", ["a\0b"]),
    ],
)
def test_rows_that_break_the_rules(tmp_path, rows, texts):
    found = read(tmp_path / "a.csv", rows.encode())
    assert [document.text for document in found if hasattr(document, "replaced")] == texts


def test_depth_and_shapes_that_are_no_text(tmp_path):
    for raw in (b"[" * 100_000, b'{"a":' * 100_000, b"[1, 2", b"nothing"):
        assert [found.reason for found in read(tmp_path / "a.json", raw)] == ["not_json"]
    for raw in (b"[1]", b'"text"', b'{"text": 1}', b'{"body": "a"}', b'[["text"]]'):
        assert [found.reason for found in read(tmp_path / "a.json", raw)] == ["no_text_field"]
    assert read(tmp_path / "a.json", b"") == read(tmp_path / "a.csv", b"\xef\xbb\xbf") == []
    (found,) = read(tmp_path / "a.jsonl", b'{"meta": {"text": "inner"}}', text_field="meta.text")
    assert found.text == "inner"


def test_parquet_columns_of_every_kind(tmp_path):
    plain = pyarrow.array([ONE, TWO])
    kinds = [plain.dictionary_encode(), plain.cast(pyarrow.large_string()), plain.cast(pyarrow.binary())]
    kinds.append(plain.cast(pyarrow.large_binary()).dictionary_encode())
    if hasattr(pyarrow, "string_view"):
        kinds.append(plain.cast(pyarrow.string_view()))
    for column in kinds:
        parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
        assert [found.text for found in read_file(tmp_path / "a.parquet", Reading())] == [ONE, TWO], column.type


def test_names_and_links_of_every_kind(tmp_path):
    for name in ("a b.txt", "第一篇.txt", "[x].txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "dir.txt").mkdir()
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "self.txt").symlink_to(tmp_path / "self.txt")
    assert len(find_files(f"{tmp_path}/**/*.txt")) == 4
    assert [path.name for path in find_files(f"{tmp_path}/[x].txt")] == ["[x].txt"]
    (found,) = read_file(tmp_path / "self.txt", Reading())
    assert found.reason == "unreadable_file"


def test_everything_that_is_wrong_is_named_at_once(tmp_path):
    (tmp_path / "a.pdf").write_text("")
    (tmp_path / "b.txt").write_text("")
    sources = {
        "a": f"{tmp_path}/*",
        "b": f"{tmp_path}/none.txt; {tmp_path}/nix/*",
        "c": "demo:none",
        "d": f"{tmp_path}/b.txt",
    }
    with pytest.raises(UserError) as error:
        all_source_files(sources)
    said = str(error.value).splitlines()
    assert [line.split(":")[0] for line in said] == [f"DataConfig.sources['{name}']" for name in "abc"]
    assert "none.txt" in said[1]
    assert "nix" in said[1]
