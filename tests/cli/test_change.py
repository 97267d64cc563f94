"""Training that goes on with other settings, through the command line in this process."""

from shutil import copytree

import jax
import numpy as np
import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.core.files import read_json
from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run
from baichuan_jax.train.config import OptimConfig, checkpoint_steps
from baichuan_jax.train.optim import schedule
from tests.cli.small import write_config

SMALL = """
DecoderConfig.layers = 1
DecoderConfig.remat = 'none'
TrainConfig.steps = 5
TrainConfig.eval_every = 5
TrainConfig.checkpoint_every = 5
OptimConfig.warmup_steps = 0
OptimConfig.final_lr_ratio = 1.0
SampleConfig.max_tokens = 2
"""


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """(config, workdir) of a training of 5 steps at a constant rate, with its evaluation."""
    directory = tmp_path_factory.mktemp("short")
    config = write_config(directory, SMALL)
    for verb in ("data", "tokenizer", "train", "evaluate"):
        assert main([verb, str(config)]) == 0
    return config, directory / "run"


@pytest.fixture
def copied(short, tmp_path):
    """(config, workdir) of a copy of it."""
    copytree(short[1], tmp_path / "run")
    return short[0], tmp_path / "run"


def call(verb, at, *settings, code: int = 0) -> None:
    config, workdir = at
    options = (f"--set={setting}" for setting in (f"RunConfig.workdir={workdir}", *settings))
    assert main([verb, str(config), *options]) == code


def steps(workdir) -> dict[int, tuple]:
    names = ("loss", "grad_norm", "learning_rate")
    records = read_metrics(workdir / "train")
    return {record["step"]: tuple(map(record.get, names)) for record in records if "loss" in record}


def test_more_steps_at_a_constant_rate_are_those_of_a_longer_run(copied, tmp_path, capsys):
    long = tmp_path / "long"
    for stage in ("data", "tokenizer", "tokens"):
        copytree(copied[1] / stage, long / stage)
    call("train", (copied[0], long), "TrainConfig.steps=12")
    call("train", copied, "TrainConfig.steps=12")
    assert steps(copied[1]) == steps(long)
    params = [Run(load_config(copied[0], {"RunConfig.workdir": each})).params for each in (copied[1], long)]
    jax.tree.map(np.testing.assert_array_equal, *params)
    capsys.readouterr()
    call("evaluate", copied)
    assert "done before" not in capsys.readouterr().out, "the model has gone on"
    assert load_config(copied[1] / "config.gin").train.steps == 12, "evaluate was given 5, which it does not use"
    call("report", copied)
    [change] = read_json(copied[1] / "train/manifest.json")["changes"]
    assert change == {"step": 5, "setting": "TrainConfig.steps", "before": "5", "after": "12"}
    page = (copied[1] / "report/report.html").read_text()
    assert "<td>TrainConfig.steps</td><td>5</td><td>12</td>" in page


def test_a_cosine_has_the_rates_of_the_new_schedule(copied, capsys):
    cosine = OptimConfig(peak_lr=3e-3, warmup_steps=2, final_lr_ratio=0.1)
    changed = [f"OptimConfig.{name}={getattr(cosine, name)}" for name in ("peak_lr", "warmup_steps", "final_lr_ratio")]
    call("train", copied, "TrainConfig.steps=9", "TrainConfig.log_every=2", "TrainConfig.keep=1", *changed)
    rates = {step: rate for step, (*_, rate) in steps(copied[1]).items()}
    assert list(rates) == [1, 2, 3, 4, 5, 6, 8, 9]
    assert all(rates[step] == float(jax.jit(schedule(cosine, 9))(step - 1)) for step in (6, 8, 9))
    assert f"learning rate of step 6: 0.005 before, now {rates[6]:.3g}" in capsys.readouterr().err
    assert checkpoint_steps(copied[1] / "train/checkpoints") == [9]
    assert len(read_json(copied[1] / "train/manifest.json")["changes"]) == 4


def test_a_branch_with_a_decay_is_the_run_of_that_horizon(copied, tmp_path, capsys):
    """Of warm-up, stable, decay: a long run is branched while its rate is stable, and decays earlier."""
    config, workdir = copied[0], tmp_path / "long"
    wsd = ("OptimConfig.schedule='wsd'", "OptimConfig.decay_share=0.4", "OptimConfig.final_lr_ratio=0.0")
    for stage in ("data", "tokenizer", "tokens"):
        copytree(copied[1] / stage, workdir / stage)
    call(
        "train", (config, workdir), *wsd, "TrainConfig.steps=15", "TrainConfig.checkpoint_every=3", "TrainConfig.keep=9"
    )
    scratch, branch = tmp_path / "scratch", tmp_path / "branch"
    base = f"RunConfig.base='{workdir}'"
    call("train", (config, scratch), base, *wsd, "TrainConfig.steps=10")
    assert main(["branch", str(workdir / "config.gin"), "--step=6", f"--to={branch}"]) == 0
    assert f"{branch} goes on from step 6: baichuan-jax train {branch}/config.gin" in capsys.readouterr().out
    call("train", (branch / "config.gin", branch), "TrainConfig.steps=10")
    assert steps(branch) == steps(scratch)
    params = [Run(load_config(each / "config.gin")).params for each in (branch, scratch)]
    jax.tree.map(np.testing.assert_array_equal, *params)
    [change] = read_json(branch / "train/manifest.json")["changes"]
    assert change == {"step": 6, "setting": "TrainConfig.steps", "before": "15", "after": "10"}
    for step, to, why in (
        (7, "new", "no checkpoint of step 7; it has: 3, 6, 9, 12, 15"),
        (6, "branch", "is not empty"),
    ):
        assert main(["branch", str(workdir / "config.gin"), f"--step={step}", f"--to={tmp_path / to}"]) == 2
        assert why in capsys.readouterr().err
