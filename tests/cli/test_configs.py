"""`config list`, `show` and `copy`, and the names of shipped configs in the other verbs."""

from pathlib import Path

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.config.files import shipped_configs

QUICKSTART = shipped_configs()["quickstart"].read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def mistake(capsys, *arguments: str) -> str:
    assert main(arguments) == 2
    return capsys.readouterr().err.strip()


def test_list_names_every_config(capsys):
    assert main(["config", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(shipped_configs())
    assert lines[0].startswith("quickstart ")
    assert "The whole recipe on a laptop" in lines[0]


def test_show_prints_the_file(capsys):
    for name in ("quickstart", "configs/runs/quickstart.gin"):
        assert main(["config", "show", name]) == 0
        assert capsys.readouterr().out == QUICKSTART


def test_a_copy_is_used_in_place_of_what_is_shipped(capsys):
    assert main(["config", "copy", "model/quickstart"]) == 0
    copy = Path("configs/model/quickstart.gin")
    assert capsys.readouterr().out == f"{copy}: replaces the shipped file in what is run from this folder\n"
    copy.write_text(copy.read_text(encoding="utf-8").replace("DecoderConfig.layers = 4", "DecoderConfig.layers = 3"))
    assert main(["explain", "quickstart"]) == 0
    lines = [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert ["layers", "3", "configs/model/quickstart.gin:5"] in lines


def test_a_copy_of_another_name_has_a_workdir_of_its_own(capsys):
    assert main(["config", "copy", "quickstart", "mine/first.gin"]) == 0
    assert capsys.readouterr().out == "mine/first.gin: a run in runs/first\n"
    changed = {"run quickstart\n": "run mine/first.gin\n", "'runs/quickstart'": "'runs/first'"}
    expected = QUICKSTART
    for old, new in changed.items():
        assert old in expected
        expected = expected.replace(old, new)
    assert Path("mine/first.gin").read_text(encoding="utf-8") == expected
    assert main(["explain", "mine/first.gin"]) == 0
    assert "mine/first.gin:10" in capsys.readouterr().out


def test_a_copy_of_another_file_is_the_file(capsys):
    for name, file in (("model/1b", "b.gin"), ("cluster/slurm.sh", "job.sh")):
        assert main(["config", "copy", name, file]) == 0
        assert Path(file).read_bytes() == shipped_configs()[name].read_bytes()
        assert Path(file).stat().st_mode == shipped_configs()[name].stat().st_mode
    assert capsys.readouterr().out == "b.gin\njob.sh\n"


def test_mistakes(capsys):
    assert mistake(capsys, "config", "show", "quikstart") == (
        "baichuan-jax: no config of the name 'quikstart' is shipped; did you mean 'quickstart'?"
    )
    assert mistake(capsys, "config", "show", "1b") == (
        "baichuan-jax: no config of the name '1b' is shipped; did you mean 'model/1b'?"
    )
    assert mistake(capsys, "config", "copy", "zzzz") == (
        "baichuan-jax: no config of the name 'zzzz' is shipped; `baichuan-jax config list` names all"
    )
    assert "did you mean quickstart?" in mistake(capsys, "run", "quikstart")
    Path("mine.gin").write_text("mine")
    assert mistake(capsys, "config", "copy", "base", "mine.gin") == (
        "baichuan-jax: mine.gin exists: name another file, baichuan-jax config copy base FILE"
    )
    assert Path("mine.gin").read_text() == "mine"
    assert mistake(capsys, "config", "copy", "base", "mine.gin/base.gin") == (
        "baichuan-jax: cannot write mine.gin/base.gin: File exists"
    )
    assert "'config list', 'config show', 'config copy'" in mistake(capsys, "config")
