"""The verbs `sweep` and `compare`, by options and by a file."""

import re
from io import StringIO

import pytest
from rich.console import Console

from baichuan_jax.cli.main import main
from baichuan_jax.cli.sweep import LiveTable
from baichuan_jax.core.errors import UserError
from baichuan_jax.recipe.sweep.plan import read_plan
from tests.cli.small import write_config


@pytest.fixture
def config(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_config(tmp_path, "SweepConfig.cores = 1\n")


def test_by_options_then_compared(config, tmp_path, capsys):
    over = ["--over", "OptimConfig.peak_lr=[1e-3, 2e-3]", "--over", "OptimConfig.warmup_steps=[2, 3]"]
    command = ["sweep", str(config), *over, "--zip", "--metric", "bits_per_byte/zh", "--maximize"]
    assert main([*command, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "point 1 (OptimConfig.peak_lr 0.002, OptimConfig.warmup_steps 3): waiting" in told
    assert "data, tokenizer, tokens: made once for points 0, 1" in told
    assert "2 of 2 points to come, 1 at once" in told
    assert not (tmp_path / "run-sweep").exists(), "nothing is written"
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "best: peak_lr 0.001, warmup_steps 2; again by" in printed
    assert "--set=OptimConfig.peak_lr=0.001" in printed
    assert main([*command, "--dry-run"]) == 0
    assert "0 of 2 points to come" in capsys.readouterr().out
    assert main(["compare", "run-sweep/points/0000", "run-sweep/points/0001"]) == 0
    assert "2 settings differ" in capsys.readouterr().out
    assert (tmp_path / "runs/compare/0000-0001/report.html").is_file()


def test_by_a_file(config, world, tmp_path, capsys):
    file = tmp_path / "many.gin"
    file.write_text(f"include '{config}'\nSweepConfig.over = ('TrainConfig.seed=range(2)',)\n")
    world.fails[1] = lambda: (_ for _ in ()).throw(UserError("no luck"))
    assert main(["sweep", str(file)]) == 2
    said = capsys.readouterr().err
    assert "1 of 2 points failed (1)" in said
    assert "the same command tries them again" in said
    console = Console(file=StringIO(), width=100)
    console.print(LiveTable(read_plan(tmp_path / "run-sweep"))._render())
    assert re.search(r"point 1 \(TrainConfig.seed 1\) +failed", console.file.getvalue())
    assert "0 running, 1 failed, 0 waiting, 1 done" in console.file.getvalue()
    world.fails.clear()
    assert main(["sweep", str(file)]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "a sweep needs settings to vary"),
        (["--over", "TrainConfig.sed=[1]"], "did you mean 'seed'"),
        (["--over", "TrainConfig.seed=[1]", "--extend"], "there is no sweep in"),
        (["--over", "TrainConfig.seed=[1]", "--random", "-1"], "SweepConfig.random = -1: expected 0 or more"),
    ],
)
def test_mistakes(config, capsys, options, message):
    assert main(["sweep", str(config), *options]) == 2
    assert message in capsys.readouterr().err
