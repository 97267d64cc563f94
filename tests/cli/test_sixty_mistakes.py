"""Each of the sixty mistakes is answered by one message with the way out, exit code 2, and nothing written."""

from pathlib import Path

import pytest

from baichuan_jax.cli.main import main
from tests.cli.mistakes import MISTAKES, Mistake
from tests.cli.small import run, write_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """Return the arguments of a mistake for a folder with a small run that has not begun."""
    config = write_config(tmp_path)
    (tmp_path / "empty.gin").write_text("include 'configs/base.gin'\n")
    (tmp_path / "binary.gin").write_bytes(bytes(range(128, 256)))
    (tmp_path / "includes.gin").write_text("include 'configs/runs/quikstart.gin'\n")
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(ROOT)
    return lambda text: text.replace("{config}", str(config)).replace("{tmp}", str(tmp_path))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.arguments)
def test_a_mistake_is_answered_with_the_way_out(filled, capsys, tmp_path, mistake: Mistake):
    before = sorted(tmp_path.rglob("*"))
    assert main(filled(mistake.arguments).split("|")) == 2
    check(capsys.readouterr().err, mistake, filled)
    if "text_field" not in mistake.arguments:  # which only reading shows
        assert sorted(tmp_path.rglob("*")) == before
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES[::6], ids=lambda mistake: mistake.arguments)
def test_so_it_is_by_command(filled, mistake: Mistake):
    check(run(*filled(mistake.arguments).split("|"), code=2, devices=8).stderr, mistake, filled)


def check(said: str, mistake: Mistake, filled) -> None:
    assert said.startswith("baichuan-jax: ")
    assert said.count("baichuan-jax: ") == 1
    for wanted in (mistake.wrong, mistake.way_out):
        assert filled(wanted) in said, said
