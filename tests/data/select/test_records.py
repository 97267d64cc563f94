"""Evaluation sets are read whatever their files hold, and a broken one is named."""

import csv
import gzip
import io
import json
import zipfile

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.select.records import set_files, set_rows

QUESTION = "哪种动物会在冬天长睡"


def rows(path):
    return [(place, row.stem, row.choices) for place, row in set_rows(str(path))]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_line_ends_inside_strings_end_no_row(tmp_path, mark):
    lines = [json.dumps({"question": f"冬天{mark}谁长睡"}, ensure_ascii=False), "", json.dumps({"question": QUESTION})]
    (tmp_path / "a.jsonl").write_bytes("\r\n".join(lines).encode())
    first, second = rows(tmp_path / "a.jsonl")
    assert first == ("a.jsonl row 1", (f"冬天{mark}谁长睡",), ())
    assert second[1] == (QUESTION,)


def test_long_cells_and_every_ending(tmp_path):
    long = "冬天" * 100_000
    table = io.StringIO()
    csv.writer(table).writerows([("question", "A", "B"), (long, "狗熊", "多\n行")])
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("val/b.csv", "\ufeff" + table.getvalue())
        archive.writestr("val/c.tsv", f"{QUESTION}\t狗熊\t家兔\tA\n")
        archive.writestr("d.json.gz", gzip.compress(json.dumps([{"question": QUESTION}]).encode()))
        archive.writestr("e.txt", f"{QUESTION}\n\n再问一次\n两行")
        archive.writestr("empty/", "")
    assert rows(tmp_path / "z.zip") == [
        ("z.zip: d.json.gz row 1", (QUESTION,), ()),
        ("z.zip: e.txt row 1", (QUESTION,), ()),
        ("z.zip: e.txt row 2", ("再问一次\n两行",), ()),
        ("z.zip: val/b.csv row 1", (long,), ("狗熊", "多\n行")),
        ("z.zip: val/c.tsv row 1", (QUESTION,), ("狗熊", "家兔")),
    ]


def test_json_lines_in_a_json_file_and_lines_of_text(tmp_path):
    (tmp_path / "a.json").write_text('{"question": "一"}\n{"question": "二"}\n')
    (tmp_path / "b.txt").write_text("一\n二\n")
    for name in ("a.json", "b.txt"):
        assert [stem for _, stem, _ in rows(tmp_path / name)] == [("一",), ("二",)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_what_they_are(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes(f"题目,A,B\n{QUESTION},狗熊,家兔\n".encode(encoding))
    assert rows(tmp_path / "a.csv") == [("a.csv row 1", (QUESTION,), ("狗熊", "家兔"))]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{", r"a\.jsonl: cannot be read as an evaluation set"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl: cannot be read as an evaluation set"),
        ("a.csv", "题目\n".encode("gb18030"), r"a\.csv is not UTF-8: byte 0; convert it"),
        ("a.zip", b"PK", r"a\.zip: cannot be read as an evaluation set"),
        ("a.csv.gz", gzip.compress(b"a,b" * 99, mtime=0)[:20], r"a\.csv\.gz: cannot be read as an evaluation set"),
        ("a.bin", b"", r"a\.bin: unsupported file type of an evaluation set; supported endings: \.jsonl"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        rows(tmp_path / name)


def test_a_set_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no file matches"):
        set_files(str(tmp_path / "*.zip"))
