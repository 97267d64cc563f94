"""Everything that is shipped to be run is run, at debug size: configs, experiments, the commands of the README."""

import gzip
import json
import re
import shlex
import signal
from importlib import import_module
from itertools import islice
from pathlib import Path

import pytest

from baichuan_jax.config.load import load
from baichuan_jax.data.sources.demo import read_demo
from baichuan_jax.lab.experiment import class_name, find_experiments
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import wanted
from tests.cli.small import run
from tests.generate.serving import serving

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").rglob("*.gin"))
RUNS = [path for path in CONFIGS if path.parent.name == "runs"]
README = (ROOT / "README.md").read_text(encoding="utf-8")

DEBUG = [
    f"--set={setting}"
    for setting in (
        "VOCAB=3000",
        "DecoderConfig.layers=1",
        "DecoderConfig.hidden=32",
        "DecoderConfig.heads=2",
        "DecoderConfig.head_dim=16",
        "DecoderConfig.inner=48",
        "DataConfig.max_bytes=150000",
        "SelectConfig.validation_fraction=0.1",
        "TrainConfig.steps=4",
        "TrainConfig.batch=4",
        "TrainConfig.log_every=1",
        "TrainConfig.eval_every=2",
        "TrainConfig.eval_windows=2",
        "TrainConfig.checkpoint_every=2",
        "OptimConfig.warmup_steps=1",
        "EvaluateConfig.windows=4",
        "SampleConfig.max_tokens=4",
    )
]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands() -> list[list[str]]:
    """Return the `baichuan-jax` commands in the README's code blocks, without comments, continued lines joined."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("baichuan-jax ")]


# What a command of the README runs is not run again.
NAMED = {tuple(arguments[:2]) for arguments in commands()}
OTHER_RUNS = [path for path in RUNS if ("run", path.stem) not in NAMED]
# `make test` runs those that the README names, `make test-all` all.
EXPERIMENTS = [
    pytest.param(experiment, marks=pytest.mark.slow)
    for experiment in find_experiments(ROOT / "experiments")
    if ("experiment", experiment) not in NAMED
]


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_every_config_loads_and_rebuilds(path, tmp_path):
    loaded = load(path, (), RunConfig)
    (tmp_path / "again.gin").write_text(loaded.text, encoding="utf-8")
    assert load(tmp_path / "again.gin", (), RunConfig).config == loaded.config


@pytest.mark.parametrize("path", RUNS, ids=name)
def test_a_run_file_states_its_command_cost_and_result(path):
    head = path.read_text(encoding="utf-8").split("\ninclude", 1)[0]
    for word in ("Command: ", "Cost: ", "Result: "):
        assert f"# {word}" in head
    assert f"baichuan-jax run {path.stem}\n" in head


@pytest.mark.slow
@pytest.mark.parametrize("path", OTHER_RUNS, ids=name)
def test_every_other_run_runs(path, tmp_path):
    run("run", path, f"--set=RunConfig.workdir={tmp_path / 'run'}", *DEBUG)
    assert_finished(tmp_path / "run")


def assert_finished(workdir: Path) -> None:
    assert all((workdir / stage / "manifest.json").exists() for stage in wanted(RunConfig()))


def test_every_command_of_the_readme_runs(tmp_path, monkeypatch):
    """In order, in one directory that has the texts the README speaks of."""
    monkeypatch.chdir(tmp_path)
    write_own_texts(tmp_path / "texts")
    assert len(commands()) >= 4
    for arguments in commands():
        if arguments[0] == "serve":
            serve(arguments)
        else:
            run(*arguments, *settings_for(arguments))
    for verb, named in NAMED:
        if verb == "run":
            assert_finished(tmp_path / load(named, (), RunConfig).config.workdir)
        if verb == "experiment":
            assert (tmp_path / "runs/experiments" / named / "record.json").exists()


def serve(arguments: list[str]) -> None:
    """Asks for a completion, and stops the server."""
    small = [*DEBUG, "--set=ServeConfig.port=0", "--set=ServeConfig.warm_up=0.0"]
    with serving(*arguments[1:], *small) as server:
        assert len(server.complete(prompt="中国政府")["choices"]) == 1
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30) == 130


def settings_for(arguments: list[str]) -> list[str]:
    """Return what makes a command of the README small."""
    if arguments[0] == "experiment":
        return debug_settings(arguments[1])
    return [] if arguments[:2] == ["convert", "import"] else DEBUG


def debug_settings(name: str) -> list[str]:
    return [f"--set={setting}" for setting in import_module(f"experiments.{name}").DEBUG]


@pytest.mark.parametrize("name", find_experiments(ROOT / "experiments"))
def test_an_experiment_states_its_command(name):
    assert f"Command: baichuan-jax experiment {name}" in import_module(f"experiments.{name}").__doc__


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_other_experiment_runs(name, tmp_path):
    settings = [*debug_settings(name), f"--set={class_name(name)}.workdir={tmp_path}"]
    if any("TrialConfig" in setting for setting in settings):
        settings.append(f"--set=TrialConfig.corpus_workdir={tmp_path}/corpus")  # the usual one is the user's
    run("experiment", name, *settings)
    assert (tmp_path / "record.json").exists()


def write_own_texts(directory: Path) -> None:
    """News as compressed JSON lines and books as text files, from the demo corpora."""
    news = [json.dumps({"text": document.text}) for document in islice(read_demo("zh_news", "stop"), 60)]
    (directory / "news" / "1998").mkdir(parents=True)
    (directory / "news" / "1998" / "january.jsonl.gz").write_bytes(gzip.compress("\n".join(news).encode()))
    (directory / "books").mkdir()
    for number, document in enumerate(islice(read_demo("en_speeches", "stop"), 20)):
        (directory / "books" / f"{number}.txt").write_text(document.text, encoding="utf-8")


def test_the_readmes_links_exist():
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", README)
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).exists(), link
