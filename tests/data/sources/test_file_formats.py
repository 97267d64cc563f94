"""Text files of every format, whole and damaged."""

import gzip
import json

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import Reading
from baichuan_jax.data.sources.file_formats import find_files, read_file

TEXTS = ["第一篇", "second\nwith a line", "третий 🙂"]
ROWS = "".join(json.dumps({"text": text, "n": n}, ensure_ascii=n == 0) + "\n" for n, text in enumerate(TEXTS)).encode()
MANY = b"".join(b'{"text": "document %d of %d"}\n' % (n, n * n) for n in range(20_000))


def read(path, field="text", damaged="stop"):
    return list(read_file(path, Reading(field, damaged=damaged)))


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.jsonl", bytes),
        ("a.jsonl.gz", gzip.compress),
        ("a.jsonl.zst", zstandard.compress),
        ("b.jsonl.gz", lambda rows: b"".join(map(gzip.compress, rows.splitlines(keepends=True)))),
        ("b.jsonl.zst", lambda rows: b"".join(map(zstandard.compress, rows.splitlines(keepends=True)))),
    ],
)
def test_json_lines(tmp_path, name, pack):
    path = write(tmp_path / name, pack(ROWS))
    assert [(doc.text, doc.source) for doc in read(path)] == [(t, f"{path}:{n}") for n, t in enumerate(TEXTS, 1)]


@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.binary()])
def test_parquet(tmp_path, kind):
    path = tmp_path / "a.parquet"
    column = pyarrow.array([text.encode() for text in TEXTS]).cast(kind)
    parquet.write_table(pyarrow.table({"body": column}), path, row_group_size=2)
    assert [(doc.text, doc.source) for doc in read(path, "body")] == [
        (t, f"{path}:{n}") for n, t in enumerate(TEXTS, 1)
    ]


def test_a_text_file_is_one_document(tmp_path):
    path = write(tmp_path / "a.txt", "一\n二\n".encode())
    assert [(doc.text, doc.source) for doc in read(path)] == [("一\n二\n", str(path))]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_blank_lines_and_empty_files_hold_nothing(tmp_path, name):
    pack = gzip.compress if name.endswith("gz") else bytes
    assert read(write(tmp_path / name, pack(b""))) == []
    assert len(read(write(tmp_path / name, pack(b"\n" + ROWS + b"  \n")))) == 3


@pytest.mark.parametrize(("name", "pack"), [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.compress)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_a_truncated_file_says_how_far_it_could_be_read(tmp_path, name, pack, share):
    data = pack(MANY)
    path = write(tmp_path / name, data[: int(len(data) * share) - 1])
    documents = []
    with pytest.raises(UserError, match=rf"{name}: truncated or corrupt: [\d,]+ documents could be read") as error:
        documents.extend(read_file(path, Reading(damaged="stop")))
    assert f"{len(documents):,} documents could be read" in str(error.value) or not documents


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_what_is_not_compressed_at_all(tmp_path, name):
    with pytest.raises(UserError, match="truncated or corrupt"):
        read(write(tmp_path / name, ROWS))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{'text': 1}", r"a.jsonl:4: not JSON: .* at character 2"),
        (b'{"text": "cut', r"a.jsonl:4: not JSON"),
        (b'["text"]', r"a.jsonl:4: expected a JSON object with a field 'text', found list"),
        (b'{"body": "x", "n": 1}', r"a.jsonl:4: no field 'text'; its fields are body, n; choose with DataConfig.text"),
        (b'{"text": [1]}', r"a.jsonl:4: field 'text' is not a string but \[1\]"),
        (b'{"text": "\xff\xfe"}', r"a.jsonl:4: byte 10 \(0xff\) is not UTF-8"),
        (b'{"text": "\\ud83d"}', r"a.jsonl:4: byte 0 \(0xed\) is not UTF-8"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    with pytest.raises(UserError, match=message):
        read(write(tmp_path / "a.jsonl", ROWS + line + b"\n"))


def test_invalid_utf8_is_replaced_and_counted(tmp_path):
    path = write(tmp_path / "a.txt", "old � ".encode() + b"\xffnew\xe4\xbd")
    (document,) = read(path, damaged="skip")
    assert (document.text, document.replaced) == ("old � �new�", 2)
    path = write(tmp_path / "a.jsonl", b'{"text": "\xe4\xbd\xa0\xfe"}\n{"text": "ok"}\n{"text": "half \\ud83d"}\n')
    assert [doc.replaced for doc in read(path, damaged="skip")] == [1, 0, 3]


def test_damaged_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": TEXTS * 100, "n": list(range(300))}), path)
    with pytest.raises(UserError, match="no column 'body'; its columns are text, n"):
        read(path, "body")
    with pytest.raises(UserError, match="column 'n' holds int64, not strings"):
        read(path, "n")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"a\.parquet: not a whole Parquet file"):
        read(path)
    parquet.write_table(pyarrow.table({"text": ["a", None]}), path)
    with pytest.raises(UserError, match=r"a\.parquet:2: column 'text' is null"):
        read(path)


def test_globs_are_sorted_and_recursive(tmp_path):
    for name in ("b/2.txt", "b/1.txt", "a/x/y/3.txt", "0.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = find_files(f"{tmp_path}/**/*.txt")
    assert [str(path.relative_to(tmp_path)) for path in found] == ["0.txt", "a/x/y/3.txt", "b/1.txt", "b/2.txt"]


def test_files_that_are_not_there(tmp_path):
    write(tmp_path / "reviews.jsonl", ROWS)
    with pytest.raises(UserError, match=r"no file matches '.*review.jsonl'; did you mean .*reviews.jsonl\?"):
        find_files(f"{tmp_path}/review.jsonl")
    with pytest.raises(UserError, match=r"no file matches '.*\*\.txt'; .* holds reviews.jsonl"):
        find_files(f"{tmp_path}/*.txt")
    with pytest.raises(UserError, match=r"no file matches .*: there is no directory"):
        find_files(f"{tmp_path}/none/*.txt")
    with pytest.raises(UserError, match="is a directory: name its files"):
        find_files(str(tmp_path))


def test_unknown_endings_are_refused_before_anything_is_read(tmp_path):
    for name in ("a.pdf", "b.PDF", "c.xyz", "d.tar.gz", "e.txt", "none", "f.parquet.gz"):
        write(tmp_path / name, b"")
    with pytest.raises(UserError) as error:
        find_files(f"{tmp_path}/*")
    said = str(error.value)
    assert f"{tmp_path}/a.pdf, {tmp_path}/b.PDF: not text; convert with pdftotext" in said
    assert "c.xyz: unsupported kind of file" in said
    assert "d.tar.gz: not text; convert with tar -xf" in said
    assert "none: a file without an ending is not supported" in said
    assert "f.parquet.gz: unsupported kind of file" in said
    assert "the other 1 can be read" in said
    assert "supported endings: .txt, .md, .html" in said
