"""The examples of docs/CONTRIBUTING.md, applied to a copy of the code, do what they say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.small import environment
from tests.test_shipped import ROOT

PAGE = ROOT / "docs/CONTRIBUTING.md"


def blocks() -> list[tuple[str, str]]:
    """Return (language, text) of the blocks of code, in order."""
    return re.findall(r"^```(diff|python)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def apply(change: str, root: Path) -> None:
    """Replace the lines that a diff has without "+" by those that it has without "-"; they must be there once."""
    head, *lines = change.splitlines(keepends=True)
    file = root / head.removeprefix("--- ").strip()
    before, after = ("".join(line[1:] for line in lines if line[0] != mark) for mark in "+-")
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{file.name} has not, or not once: {before}"
    file.write_text(text.replace(before, after), encoding="utf-8")


@pytest.mark.slow
def test_the_examples_run(tmp_path):
    for folder in ("baichuan_jax", "configs", "experiments"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "here").mkdir()
    scripts = []
    for language, text in blocks():
        if language == "diff":
            apply(text, tmp_path)
        elif text.startswith("# "):
            (tmp_path / text.partition("\n")[0].removeprefix("# ")).write_text(text, encoding="utf-8")
        else:
            scripts.append(text)
    assert len(scripts) == 5
    variables = {**environment(), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", "\n".join(scripts)]
    done = subprocess.run(
        command, cwd=tmp_path / "here", env=variables, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
