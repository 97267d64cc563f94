"""Training that goes on: with other settings, after it has diverged, and from a damaged checkpoint."""

import math
from pathlib import Path
from shutil import copytree, rmtree
from unittest.mock import patch

import jax
import numpy as np
import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.core.files import read_json
from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run
from baichuan_jax.train import loop, throughput
from baichuan_jax.train.config import OptimConfig, checkpoint_steps
from baichuan_jax.train.optim import schedule
from tests.cli.small import write_config
from tests.settings.training import Step

SMALL = """
DecoderConfig.layers = 1
DecoderConfig.remat = 'none'
TrainConfig.steps = 5
TrainConfig.eval_every = 5
TrainConfig.eval_windows = 1
TrainConfig.checkpoint_every = 2
OptimConfig.warmup_steps = 0
OptimConfig.final_lr_ratio = 1.0
"""


@pytest.fixture(scope="module", autouse=True)
def on_one_device():
    device = jax.devices()[:1]
    with patch.object(jax, "devices", lambda *_: device), patch.object(throughput, "measured_flops", lambda dtype: 1e9):
        yield


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """(config, workdir) of a training of 5 steps at a constant rate."""
    directory = tmp_path_factory.mktemp("short")
    config = write_config(directory, SMALL)
    for verb in ("data", "tokenizer", "train"):
        assert main([verb, str(config)]) == 0
    return config, directory / "run"


@pytest.fixture
def copied(short, tmp_path):
    """(config, workdir) of a copy of it."""
    copytree(short[1], tmp_path / "run")
    return short[0], tmp_path / "run"


@pytest.fixture
def no_step(monkeypatch):
    """Have steps cost nothing, and learn nothing."""
    monkeypatch.setattr(loop, "make_step", Step)
    monkeypatch.setattr(loop, "step_memory", lambda _: 0)


def call(verb, at, *settings, code: int = 0) -> None:
    config, workdir = at
    options = (f"--set={setting}" for setting in (f"RunConfig.workdir={workdir}", *settings))
    assert main([verb, str(config), *options]) == code


def steps(workdir, *names) -> dict[int, tuple]:
    records = read_metrics(workdir / "train")
    return {record["step"]: tuple(map(record.get, names)) for record in records if "loss" in record}


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def changes(workdir) -> list[tuple]:
    return [tuple(change.values()) for change in read_json(workdir / "train/manifest.json")["changes"]]


def test_more_steps_at_a_constant_rate_are_those_of_a_longer_run(copied, tmp_path):
    long = tmp_path / "long"
    for stage in ("data", "tokenizer", "tokens"):
        copytree(copied[1] / stage, long / stage)
    call("train", (copied[0], long), "TrainConfig.steps=9")
    call("train", copied, "TrainConfig.steps=9")
    numbers = [steps(workdir, "loss", "grad_norm", "learning_rate") for workdir in (copied[1], long)]
    assert numbers[0] == numbers[1]
    params = [Run(load_config(copied[0], {"RunConfig.workdir": each})).params for each in (copied[1], long)]
    jax.tree.map(np.testing.assert_array_equal, *params)
    assert changes(copied[1]) == [(5, "TrainConfig.steps", "5", "9")]


def test_a_cosine_has_the_rates_of_the_new_schedule(copied, no_step, capsys):
    cosine = OptimConfig(peak_lr=3e-3, warmup_steps=2, final_lr_ratio=0.1)
    changed = [f"OptimConfig.{name}={getattr(cosine, name)}" for name in ("peak_lr", "warmup_steps", "final_lr_ratio")]
    changed += ["TrainConfig.accumulate=2", "DecoderConfig.remat=block"]
    call("train", copied, "TrainConfig.steps=9", "TrainConfig.log_every=2", "TrainConfig.keep=1", *changed)
    rates = {step: rate for step, (rate,) in steps(copied[1], "learning_rate").items()}
    assert list(rates) == [1, 2, 3, 4, 5, 6, 8, 9]
    assert all(rates[step] == float(jax.jit(schedule(cosine, 9))(step - 1)) for step in (6, 8, 9))
    assert f"learning rate of step 6: 0.005 before, now {rates[6]:.3g}" in capsys.readouterr().err
    assert checkpoint_steps(copied[1] / "train/checkpoints") == [9]
    assert len(changes(copied[1])) == 6
    call("train", copied, code=2)
    assert "has reached step 9" in capsys.readouterr().err


@pytest.mark.slow
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
    assert steps(branch, "loss", "grad_norm") == steps(scratch, "loss", "grad_norm")
    params = [Run(load_config(each / "config.gin")).params for each in (branch, scratch)]
    jax.tree.map(np.testing.assert_array_equal, *params)
    assert changes(branch) == [(6, "TrainConfig.steps", "15", "10")]
    for step, to, why in (
        (7, "new", "no checkpoint of step 7; it has: 3, 6, 9, 12, 15"),
        (6, "branch", "is not empty"),
    ):
        assert main(["branch", str(workdir / "config.gin"), f"--step={step}", f"--to={tmp_path / to}"]) == 2
        assert why in capsys.readouterr().err


def test_what_diverges_is_not_kept_and_goes_on_with_a_lower_rate(copied, no_step, monkeypatch, capsys):
    def nan_at(step):
        class Diverging(Step):
            def __call__(self, state, batch):
                state, values = super().__call__(state, batch)
                return state, values | ({"loss": math.nan} if int(state.step) >= step else {})

        return Diverging

    monkeypatch.setattr(loop, "make_step", nan_at(8))
    often = ("TrainConfig.steps=60", "TrainConfig.log_every=50", "TrainConfig.checkpoint_every=3")
    call("train", copied, *often, "OptimConfig.peak_lr=1e30", code=2)
    said = capsys.readouterr().err
    assert "training has diverged: the loss is nan at step 8." in said
    assert "goes on from step 6 with --set OptimConfig.peak_lr=... below 1e+30" in said
    assert checkpoint_steps(copied[1] / "train/checkpoints") == [5, 6]
    monkeypatch.setattr(loop, "make_step", nan_at(10))
    call("train", copied, *often, "OptimConfig.peak_lr=1e20", code=2)
    aside = copied[1] / "train-aside" / "9"
    assert f"its checkpoint is now {aside}. The same command goes on from step 6" in capsys.readouterr().err
    assert aside.is_dir(), "its loss is that of step 10"
    monkeypatch.setattr(loop, "make_step", Step)
    call("train", copied, *often, "TrainConfig.steps=12", "OptimConfig.peak_lr=4e-3")
    assert changes(copied[1]) == [
        (5, "TrainConfig.steps", "5", "60"),
        (5, "OptimConfig.peak_lr", "0.005", "1e+30"),
        (6, "TrainConfig.steps", "60", "12"),
        (6, "OptimConfig.peak_lr", "1e+30", "0.004"),
    ]


def test_a_damaged_checkpoint_is_moved_aside_and_the_one_before_is_used(copied, no_step, capfd):
    for path in (copied[1] / "train/checkpoints/5/params").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:50])
    call("generate", copied, "SampleConfig.prompts=('a',)", code=2)
    assert "checkpoints/5 cannot be read" in capfd.readouterr().err
    call("train", copied, "TrainConfig.steps=6")
    said = capfd.readouterr().err
    assert "checkpoints/5 cannot be read (its file params/_METADATA does not match manifest.xxh128)" in said
    assert f"it is kept as {copied[1]}/train-aside/5" in said
    assert "from step 4 on: TrainConfig.steps 5 -> 6" in said
    assert "Traceback" not in said
    assert (copied[1] / "train-aside/5/params").is_dir()
    assert list(steps(copied[1])) == [1, 2, 3, 4, 5, 6]


def test_where_no_checkpoint_can_be_read_nothing_changes(copied, no_step, capfd):
    for path in (copied[1] / "train/checkpoints").glob("*/optimizer/manifest.ocdbt"):
        path.unlink()
    before = contents(copied[1] / "train")
    call("train", copied, "TrainConfig.steps=6", code=2)
    said = capfd.readouterr().err
    assert said.startswith("baichuan-jax: no checkpoint in ")
    assert said.count("\n") == 1
    assert contents(copied[1] / "train") == before


@pytest.mark.parametrize("verb", ["generate", "evaluate"])
def test_no_command_is_refused_for_settings_it_does_not_use(short, verb):
    unused = (
        "TrainConfig.seed=5",
        "OptimConfig.b1=0.8",
        "TokenizerConfig.sample_bytes=9",
        "DecoderConfig.init_std=1.0",
    )
    run = Run(load_config(short[0], [*unused, "TrainConfig.steps=99", "DecoderConfig.remat=block"]))
    run.pipeline.check_model()
    run.pipeline.check((verb,))
    assert "TrainConfig.steps = 5\n" in run.pipeline._text((verb,)), "config.gin tells of what is there"


@pytest.mark.slow
def test_a_rate_of_1e30(copied, capsys):
    """It leaves the last checkpoint, or none, and never a state that is lost."""
    often = ("TrainConfig.steps=50", "TrainConfig.log_every=50", "TrainConfig.checkpoint_every=5", "TrainConfig.keep=2")
    rmtree(copied[1] / "train")
    call("train", copied, *often, "OptimConfig.peak_lr=1e30", code=2)
    assert "at step 2. Nothing of that is kept. The same command begins anew" in capsys.readouterr().err
    call("train", copied, *often, "TrainConfig.steps=10")
    call("train", copied, *often, "OptimConfig.peak_lr=1e30", code=2)
    assert "at step 12. Nothing of that is kept. The same command goes on from step 10" in capsys.readouterr().err
    call("train", copied, *often, "OptimConfig.peak_lr=1e30", "TrainConfig.checkpoint_every=1", code=2)
    assert "at step 11. Nothing of that is kept. The same command goes on from step 10" in capsys.readouterr().err
    call("train", copied, *often)
    assert checkpoint_steps(copied[1] / "train/checkpoints") == [45, 50]
    assert changes(copied[1]) == [(10, "TrainConfig.steps", "10", "50")]
    assert np.isfinite(list(steps(copied[1], "loss", "grad_norm").values())).all()
