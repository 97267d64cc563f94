"""Damaged input is counted where it stands, and everything around it is read."""

import gzip
import json
import subprocess
import sys

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import DataConfig, Reading
from baichuan_jax.data.document import Damaged
from baichuan_jax.data.sources import byte_lines, file_formats
from baichuan_jax.data.sources.units import read_unit, source_units

NEIGHBOUR = "".join(json.dumps({"text": f"neighbour {n}"}) + "\n" for n in range(3))


def rows(*texts):
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


MANY = rows(*(f"document {n} of {n * n}" for n in range(20_000)))


def truncated(pack):
    data = pack(MANY)
    return data[: len(data) // 2]


def table():
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table({"text": [f"row {n} {n * n}" for n in range(5000)]}), sink, row_group_size=500)
    return sink.getvalue().to_pybytes()


# name of the file -> (its bytes, reasons of what is damaged in it, documents that are read)
CASES = {
    "cut.jsonl.gz": (truncated(gzip.compress), ["truncated_file"], range(5000, 12_000)),
    "cut.jsonl.zst": (truncated(zstandard.compress), ["truncated_file"], range(20_000)),
    "cut.parquet": (table()[:-30], ["truncated_file"], range(1)),
    "plain.jsonl.gz": (MANY, ["truncated_file"], range(1)),
    "bits.jsonl.gz": (gzip.compress(MANY)[:40_000] + b"\xff" * 99, ["truncated_file"], range(20_000)),
    "json.jsonl": (rows("a") + b"{'text'}\n" + rows("b"), ["not_json"], [2]),
    "half.jsonl": (rows("a") + b'{"text": "no end', ["not_json"], [1]),
    "deep.jsonl": (rows("a") + b"[" * 100_000 + b"\n" + rows("b"), ["not_json"], [2]),
    "digits.jsonl": (rows("a") + b'{"text": ' + b"9" * 10_000 + b"}\n" + rows("b"), ["not_json"], [2]),
    "fields.jsonl": (b'{"body": "a"}\n{"text": null}\n[1]\n' + rows("b"), ["no_text_field"] * 3, [1]),
    "nul.jsonl": (rows("a\0b", "\0") + b"\0\0\n" + rows("c"), ["not_json"], [3]),
    "bytes.jsonl": (rows("a") + b'{"text": "\xff"}\n', [], [2]),
    "crlf.jsonl": (b"\xef\xbb\xbf" + rows("a", "b").replace(b"\n", b"\r\n"), [], [2]),
    "bytes.txt": (b"a \xff b", [], [1]),
}


@pytest.mark.parametrize("name", CASES)
def test_neighbours_are_read_whole(tmp_path, name):
    data, reasons, documents = CASES[name]
    for neighbour in ("a.jsonl", "z.jsonl"):
        (tmp_path / neighbour).write_text(NEIGHBOUR)
    (tmp_path / name).write_bytes(data)
    cfg = DataConfig({"a": f"{tmp_path}/*"})
    found = [found for unit in source_units(cfg) for found in read_unit(unit, cfg)]
    mine = [entry for entry in found if name in entry.source]
    assert len(found) - len(mine) == 6
    damaged = [entry for entry in mine if isinstance(entry, Damaged)]
    assert [entry.reason for entry in damaged] == reasons
    assert len(mine) - len(damaged) in documents
    assert all(name in entry.message for entry in damaged)
    assert all(len(entry.text) <= 200 for entry in damaged)


@pytest.mark.parametrize("name", [name for name, (_, reasons, _) in CASES.items() if reasons])
def test_or_the_first_damage_is_an_error(tmp_path, name):
    (tmp_path / name).write_bytes(CASES[name][0])
    cfg = DataConfig({"a": str(tmp_path / name)}, damaged="stop")
    (unit,) = source_units(cfg)
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        list(read_unit(unit, cfg))


LONG = "a" * 300


@pytest.mark.parametrize(
    "path", [f"{LONG}.jsonl", f"{LONG}/*.jsonl", f"*/{LONG}.jsonl", "a/" * 3000 + "a.jsonl", "~no-such-user/a.jsonl"]
)
def test_a_path_that_cannot_be(tmp_path, path):
    at_home = path.startswith("~")
    with pytest.raises(UserError, match=r"DataConfig\.sources\['zh'\]: "):
        source_units(DataConfig(sources={"zh": path if at_home else str(tmp_path / path)}))


def test_a_file_that_cannot_be_opened(tmp_path):
    (tmp_path / "a.jsonl").write_text(NEIGHBOUR)
    (tmp_path / "b.txt").write_text("gone")
    cfg = DataConfig({"a": f"{tmp_path}/*"})
    (unit,) = source_units(cfg)
    (tmp_path / "b.txt").unlink()
    *neighbours, damaged = read_unit(unit, cfg)
    assert len(neighbours) == 3
    assert (damaged.reason, damaged.source) == ("unreadable_file", str(tmp_path / "b.txt"))
    assert "No such file" in damaged.message


@pytest.mark.parametrize(("name", "pack"), [("a.jsonl", bytes), ("a.jsonl.gz", gzip.compress)])
def test_a_line_beyond_all_measure_is_left_out(tmp_path, monkeypatch, name, pack):
    monkeypatch.setattr(byte_lines, "MOST", 1000)
    (tmp_path / name).write_bytes(pack(rows("a", "x" * 5000, "b", "y" * 900, "z" * 2000)))
    found = list(file_formats.read_file(tmp_path / name, Reading()))
    assert [getattr(entry, "reason", "") for entry in found] == ["", "line_too_long", "", "", "line_too_long"]
    assert [entry.source.rsplit(":")[-1] for entry in found] == list("12345")
    assert found[1].text.startswith('{"text": "xxx')


def test_a_text_file_beyond_all_measure(tmp_path, monkeypatch):
    monkeypatch.setattr(byte_lines, "MOST", 1000)
    (tmp_path / "a.txt").write_text("x" * 2000)
    (found,) = file_formats.read_file(tmp_path / "a.txt", Reading())
    assert found.reason == "file_too_long"


CODE = """
import resource, sys
from pathlib import Path
from baichuan_jax.data.config import Reading
from baichuan_jax.data.sources.file_formats import read_file
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = [getattr(entry, "reason", entry.source) for entry in read_file(Path(sys.argv[1]), Reading())]
print([entry.rsplit(":")[-1] for entry in found], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_a_line_of_a_gigabyte_takes_little_memory(tmp_path):
    path = tmp_path / "big.jsonl.zst"
    packer = zstandard.ZstdCompressor(level=1)
    with path.open("wb") as raw, packer.stream_writer(raw) as file:
        file.write(rows("before") + b'{"text": "')
        for _ in range(1024):
            file.write(b"a" * (1 << 20))
        file.write(b'"}\n' + rows("after"))
    done = subprocess.run([sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=True)
    said, megabytes = done.stdout.rsplit(maxsplit=1)
    assert said == "['1', 'line_too_long', '3']"
    assert int(megabytes) < 300


def test_a_page_names_its_encoding(tmp_path):
    paragraph = "这是一个关于天气的长篇新闻报道，今天北京的天气很好，阳光明媚，适合出门散步和运动。" * 3
    page = f"<html><head><meta charset=gb2312></head><body><article><p>{paragraph}</p></article></body></html>"
    (tmp_path / "a.html").write_bytes(page.encode("gb18030"))
    (document,) = file_formats.read_file(tmp_path / "a.html", Reading())
    assert paragraph in document.text
    (tmp_path / "b.jsonl").write_bytes(rows(page))
    (document,) = file_formats.read_file(tmp_path / "b.jsonl", Reading())
    assert paragraph in document.text
