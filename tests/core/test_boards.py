"""Weights & Biases: what it is told, by a module that stands in for the package, and offline by the package itself."""

import sys
from pathlib import Path

import pytest

from baichuan_jax.core.boards import WeightsAndBiases, check_wandb
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.metrics import Metrics, read_metrics
from tests.cli.small import run, write_config


@pytest.fixture
def calls(monkeypatch):
    """Return what is told to the module that stands in for wandb."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "fake_wandb")
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    import wandb

    yield wandb.CALLS
    del sys.modules["wandb"]


def test_metrics_config_and_results_arrive(calls, tmp_path):
    board = WeightsAndBiases("mine", "offline", tmp_path, "a run", {"TrainConfig": {"steps": 2}})
    with Metrics(tmp_path, board=board) as metrics:
        metrics.write({"step": 1, "loss": 2.5})
        metrics.write({"step": 1, "validation": {"zh": 1.5}})
    board.results({"loss": 2.25})
    board.close()
    (_, begun), *told = calls
    assert {name: begun[name] for name in ("project", "mode", "name", "dir", "config", "resume")} == {
        "project": "mine",
        "mode": "offline",
        "name": "a run",
        "dir": str(tmp_path),
        "config": {"TrainConfig": {"steps": 2}},
        "resume": "allow",
    }
    assert told == [
        ("metric", "*", "step"),
        ("log", {"step": 1, "loss": 2.5}),
        ("log", {"step": 1, "validation/zh": 1.5}),
        ("finish", {"final/loss": 2.25}),
    ]


def test_a_run_that_goes_on_is_the_same_and_others_are_not(calls, tmp_path):
    places = [tmp_path / "one", tmp_path / "one", tmp_path / "other"]
    for place in places:
        place.mkdir(exist_ok=True)
        WeightsAndBiases("mine", "offline", place, "a run", {})
    first, again, other = (given["id"] for kind, given, *_ in calls if kind == "init")
    assert first == again != other


def test_what_wandb_refuses_is_one_message(calls, tmp_path):
    with pytest.raises(UserError, match=r"no API key; log in by `wandb login`, or set WandbConfig.mode to 'offline'"):
        WeightsAndBiases("nobody's", "online", tmp_path, "a run", {})


def test_a_folder_of_its_name_is_not_the_package(tmp_path, monkeypatch):
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(UserError, match=r"WandbConfig.project = 'mine' needs the package wandb: pip install"):
        check_wandb("mine")


def log_records(data: bytes) -> list[bytes]:
    """Return the records of a file in LevelDB's log format, behind the seven bytes that wandb begins it with."""
    found, place, block = [b""], 7, 2**15
    while place + 7 <= len(data):
        if block - place % block < 7:  # no room for another header: the rest of a block is padding
            place += block - place % block
            continue
        size, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        found[-1] += data[place + 7 : place + 7 + size]
        if kind in (1, 4):  # whole, or a last part
            found.append(b"")
        place += 7 + size
    return found[:-1]


@pytest.mark.slow
def test_offline(tmp_path):
    """A training that stops and goes on: two files of one run, which hold its metrics, config and results."""
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    config = write_config(tmp_path)
    options = ["--set=WandbConfig.project=mine", "--set=WandbConfig.mode=offline"]
    for command in (["data"], ["tokenizer"], ["train", "--set=TrainConfig.steps=6"], ["train"]):
        run(command[0], config, *options, *command[1:])
    ids, losses, results, configs = set(), {}, {}, {}
    for file in sorted((tmp_path / "run/train/wandb").glob("offline-run-*/run-*.wandb")):
        for data in log_records(file.read_bytes()):
            record = Record()
            record.ParseFromString(data)
            if record.HasField("run"):
                ids.add(record.run.run_id)
                configs.update({item.key: item.value_json for item in record.run.config.update})
            logged = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            if "loss" in logged:
                losses[int(logged["step"])] = float(logged["loss"])
            for item in record.summary.update:
                results[item.key or "/".join(item.nested_key)] = item.value_json
    assert len(ids) == 1
    assert losses == {each["step"]: each["loss"] for each in read_metrics(tmp_path / "run/train") if "loss" in each}
    assert '"peak_lr": 0.005' in configs["OptimConfig"].replace('":0', '": 0')
    assert float(results["final/loss"]) == losses[12]
