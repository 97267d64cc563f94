from pathlib import Path
from shutil import which
from subprocess import run

import pytest

from baichuan_jax.core.checksums import MANIFEST, Damaged, verify, write_manifest


@pytest.fixture
def kept(tmp_path):
    """Return a directory of three files with its manifest."""
    (tmp_path / "params/d").mkdir(parents=True)
    for name, content in {"params/d/0": b"some bytes", "params/_METADATA": b"{}\n", "empty": b""}.items():
        (tmp_path / name).write_bytes(content)
    write_manifest(tmp_path, "a title")
    return tmp_path


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_flipped_bit_is_found_and_its_file_is_named(kept):
    """Those of the manifest included."""
    assert verify(kept)
    places = [(path, bit) for path in kept.rglob("*") if path.is_file() for bit in range(8 * path.stat().st_size)]
    assert len(places) > 1000
    for path, bit in places[::13]:
        flip(path, bit)
        with pytest.raises(Damaged, match=path.name):
            verify(kept)
        flip(path, bit)
    assert verify(kept)


def test_a_file_that_is_missing_or_cut_is_named(kept):
    (kept / "empty").unlink()
    with pytest.raises(Damaged, match=r"its file empty: No such file"):
        verify(kept)
    for size in range(0, (kept / MANIFEST).stat().st_size, 19):
        content = (kept / MANIFEST).read_bytes()
        (kept / MANIFEST).write_bytes(content[:size])
        with pytest.raises(Damaged, match=f"its file {MANIFEST} is not whole"):
            verify(kept)
        (kept / MANIFEST).write_bytes(content)


def test_a_folder_alone_and_parts_of_the_files(kept):
    flip(kept / "params/d/0", 7)
    found = [_is_whole(kept, "", part, 3) for part in range(3)]
    assert sorted(found) == [False, True, True], "each file is verified by one of three"
    assert not _is_whole(kept, "params")
    flip(kept / "params/d/0", 7)
    (kept / "empty").write_bytes(b"more")
    assert _is_whole(kept, "params")


def _is_whole(directory: Path, under: str, part: int = 0, parts: int = 1) -> bool:
    try:
        return verify(directory, under, part, parts)
    except Damaged:
        return False


def test_without_a_manifest_nothing_is_said(kept):
    (kept / MANIFEST).unlink()
    assert not verify(kept)


@pytest.mark.skipif(which("xxh128sum") is None, reason="xxh128sum is not installed")
def test_the_standard_tool_reads_it(kept):
    run(["xxh128sum", "--check", "--strict", MANIFEST], cwd=kept, check=True)
