"""The pages of docs/ build without a warning: links, anchors, navigation, and the reference from docstrings."""

import subprocess
import sys

import pytest

import baichuan_jax
from tests.cli.small import environment
from tests.test_notebooks import ADDRESS
from tests.test_shipped import ROOT

SETTINGS = ROOT / ".mkdocs.yml"


def test_the_pages_build(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", SETTINGS, "--site-dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    configs = (tmp_path / "configs/index.html").read_text(encoding="utf-8")
    assert f'href="{ADDRESS}/blob/main/configs"' in configs
    reference = (tmp_path / "api/index.html").read_text(encoding="utf-8")
    for name in set(baichuan_jax.__all__) - {"RunConfig"}:  # whose fields `explain` prints
        assert f".{name}" in reference, name
    assert "Read the config of a run" not in reference  # that of a module
    assert "Return the config that a gin file binds" in reference


def test_the_pages_name_the_repository():
    assert f"repo_url: {ADDRESS}\n" in SETTINGS.read_text(encoding="utf-8")
