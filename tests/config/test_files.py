"""Configs are found by path and by name; a file here wins over a shipped one."""

from pathlib import Path

import pytest

from baichuan_jax.config import files
from baichuan_jax.config.files import display, find_config, find_file, find_shipped, purpose, shipped_configs
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.shipped import SHIPPED


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Ship three configs; the current directory is another, and empty."""
    folder = (tmp_path / "shipped").resolve()
    for name in ("configs/runs/first.gin", "configs/model/first.gin", "configs/model/1b.gin", "configs/base.gin"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# A file for tests. Called {name}.\n")
    (folder / "configs/slurm.sh").write_text("#!/bin/bash\n# A template\n# of two lines.\n#\n# More.\n")
    monkeypatch.setattr(files, "SHIPPED", folder)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


def test_names(shipped):
    assert {name: display(path) for name, path in shipped_configs().items()} == {
        "first": "configs/runs/first.gin",
        "base": "configs/base.gin",
        "slurm.sh": "configs/slurm.sh",
        "model/1b": "configs/model/1b.gin",
        "model/first": "configs/model/first.gin",
    }
    assert next(iter(shipped_configs())) == "first"


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_has_a_name_that_finds_it_and_a_purpose(name):
    path = shipped_configs()[name]
    assert find_shipped(name) == find_shipped(path.relative_to(SHIPPED).as_posix()) == path
    assert len(purpose(path)) > 20
    if path.suffix == ".gin":
        assert find_config(name) == path


def test_purpose_is_the_first_sentence(shipped):
    assert purpose(shipped / "configs/base.gin") == "A file for tests"
    assert purpose(shipped / "configs/slurm.sh") == "A template of two lines"


def test_a_name_finds_a_file_here_before_a_shipped_one(shipped):
    assert find_config("first") == shipped / "configs/runs/first.gin"
    assert find_config("model/first") == shipped / "configs/model/first.gin"
    for name in ("configs/runs/first.gin", "first.gin", "first"):  # each is found before the one above
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
        assert find_config("first") == Path(name).resolve()
    assert find_config("model/first") == shipped / "configs/model/first.gin"


def test_an_include_finds_a_file_beside_it_then_here_then_a_shipped_one(shipped):
    including = shipped / "configs/runs/first.gin"
    assert find_file("configs/base.gin", including) == shipped / "configs/base.gin"
    for place in (Path.cwd(), including.parent):
        (place / "configs").mkdir()
        (place / "configs/base.gin").touch()
        assert find_file("configs/base.gin", including) == place / "configs/base.gin"


def test_a_folder_of_the_name_of_a_run_is_no_config(shipped):
    Path("first").mkdir()
    assert find_config("first") == shipped / "configs/runs/first.gin"
    Path("runs/first").mkdir(parents=True)
    assert find_config("runs/first") == Path("runs/first").resolve()  # a workdir, which the reader refuses by name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("frist", "no such config: 'frist'; did you mean first?"),
        ("1B", "no such config: '1B'; did you mean model/1b?"),
        ("modle/1b", "no such config: 'modle/1b'; did you mean model/1b?"),
        ("mine", "no such config: 'mine'; did you mean mine2.gin?"),
        ("zzzz", "no such config: 'zzzz'; `baichuan-jax config list` names those that are shipped"),
        ("frist.gin", "no such config file: 'frist.gin'; did you mean configs/runs/first.gin?"),
        ("configs/model/1bb.gin", "no such config file: 'configs/model/1bb.gin'; did you mean configs/model/1b.gin?"),
    ],
)
def test_an_unknown_name_gets_a_suggestion(shipped, name, message):
    Path("mine2.gin").touch()
    with pytest.raises(UserError) as caught:
        find_config(name)
    assert str(caught.value) == message


def test_files_are_displayed_by_the_path_that_finds_them(shipped):
    assert display(Path.cwd() / "x.gin") == "x.gin"
    assert display(shipped / "configs/base.gin") == "configs/base.gin"
    assert display(shipped / "other/base.gin") == str(shipped / "other/base.gin")
