"""A process that starts again with large pages: the same command, once."""

import os
import subprocess
import sys

import pytest

from baichuan_jax.core import pages

SCRIPT = """
import os, sys
from pathlib import Path
from baichuan_jax.core import pages
pages.MODE = Path(sys.argv[1])
pages.use_huge_pages()
print(os.getpid(), os.environ.get("GLIBC_TUNABLES", ""), sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        ("always [madvise] never", "", "glibc.malloc.hugetlb=1"),
        ("always [madvise] never", "glibc.malloc.arena_max=4", "glibc.malloc.arena_max=4:glibc.malloc.hugetlb=1"),
        ("always [madvise] never", "glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"),
        ("[always] madvise never", "", ""),
        ("always madvise [never]", "", ""),
    ],
)
@pytest.mark.skipif(pages.glibc() < (2, 35), reason="another C library")
def test_the_same_process_runs_the_same_command(tmp_path, mode, before, after):
    (tmp_path / "enabled").write_text(mode)
    command = [sys.executable, "-c", SCRIPT, tmp_path / "enabled", "a b", "--c"]
    process = subprocess.Popen(command, env={**os.environ, "GLIBC_TUNABLES": before}, stdout=subprocess.PIPE, text=True)
    said = process.communicate(timeout=60)[0].strip()
    assert said == f"{process.pid} {after} ['a b', '--c']"


def test_without_the_file_nothing_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "MODE", tmp_path / "none")
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("started again"))
    pages.use_huge_pages()
