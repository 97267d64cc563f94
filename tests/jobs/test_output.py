"""The directory of a task is whole or absent."""

import subprocess
import sys

import pytest

from baichuan_jax.jobs.output import task_directory

# Writes, and is killed at the RENAMES-th rename.
KILLED = """
import os, sys
from pathlib import Path
from baichuan_jax.jobs.output import task_directory
renames, rename = int(sys.argv[2]), os.rename
def counted(*names):
    global renames
    if renames == 0:
        os._exit(9)
    renames -= 1
    rename(*names)
os.rename = counted
with task_directory(Path(sys.argv[1]), 3) as directory:
    (directory / "a").write_text("new")
os._exit(9)
"""


def write(parent, text):
    with task_directory(parent, 3) as directory:
        assert list(directory.iterdir()) == []
        (directory / "a").write_text(text)


def contents(parent):
    return {str(path.relative_to(parent)): path.read_text() for path in parent.rglob("*") if path.is_file()}


def test_it_appears_when_it_is_whole_and_replaces_an_older_one(tmp_path):
    write(tmp_path / "phase", "old")
    with task_directory(tmp_path / "phase", 3) as directory:
        (directory / "b").write_text("new")
        assert contents(tmp_path / "phase")["00003/a"] == "old"
    assert contents(tmp_path) == {"phase/00003/b": "new"}


def fail(parent):
    with task_directory(parent, 3) as directory:
        (directory / "b").touch()
        raise KeyError


def test_a_failure_leaves_what_was_there(tmp_path):
    with pytest.raises(KeyError):
        fail(tmp_path)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path, "whole")
    with pytest.raises(KeyError):
        fail(tmp_path)
    assert contents(tmp_path) == {"00003/a": "whole"}


@pytest.mark.parametrize(("renames", "seen"), [(0, ["old"]), (1, []), (2, ["new"])])
def test_a_kill_at_any_moment_leaves_no_half_and_no_hindrance(tmp_path, renames, seen):
    write(tmp_path, "old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(renames)]).returncode == 9
    assert [(path / "a").read_text() for path in tmp_path.glob("[0-9]*")] == seen
    write(tmp_path, "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["00003"]
    assert contents(tmp_path) == {"00003/a": "newer"}
