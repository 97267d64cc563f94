"""`checkpoint list`, `verify` and `show` over a training that was written by hand."""

import json
import re
from shutil import copytree

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.core.checksums import MANIFEST, write_manifest
from tests.cli.small import write_config


@pytest.fixture
def config(tmp_path):
    """Return the config of a run with checkpoints of steps 4, 8 and 12; older code has written 4."""
    for step in (4, 8, 12):
        place = tmp_path / f"run/train/checkpoints/{step}"
        items = {"params": "x" * 10**6, "loader": json.dumps({"next_index": step})}
        about = {"config": "TrainConfig.steps = 12\n", "next_learning_rate": 0.5 / step, "versions": {"jax": "0"}}
        for name, content in {**items, "about": json.dumps(about)}.items():
            (place / name).mkdir(parents=True)
            (place / name / "metadata").write_text(content)
        if step > 4:
            write_manifest(place, f"checkpoint of step {step}")
    return write_config(tmp_path)


def checkpoint(capsys, *arguments, code=0):
    capsys.readouterr()
    assert main(["checkpoint", *map(str, arguments)]) == code
    found = capsys.readouterr()
    return found.err if code else found.out


def test_list(config, capsys, tmp_path):
    copytree(tmp_path / "run/train/checkpoints/8", tmp_path / "run/train-aside/8")
    lines = checkpoint(capsys, "list", config).splitlines()
    assert [re.search("unverified|has a manifest", line)[0] for line in lines if "1.0" in line] == [
        "unverified",
        *["has a manifest"] * 3,
    ]
    assert any("aside" in line for line in lines)


def test_verify(config, capsys, tmp_path):
    lines = checkpoint(capsys, "verify", config).splitlines()
    assert [line.partition(" (")[0] for line in lines] == [
        "step 4: unverified: no manifest",
        "step 8: as written",
        "step 12: as written",
    ]
    damaged = tmp_path / "run/train/checkpoints/8"
    (damaged / "loader/metadata").write_text(json.dumps({"next_index": 9}))
    assert f"damaged: {damaged}; `train` moves it aside" in checkpoint(capsys, "verify", config, code=2)
    assert len(checkpoint(capsys, "verify", config, "--step", 12).splitlines()) == 1
    (damaged / MANIFEST).write_text("")
    assert main(["checkpoint", "verify", str(config), "--step", "8"]) == 2
    assert f"step 8: damaged: its file {MANIFEST} is not whole" in capsys.readouterr().out


def test_show(config, capsys):
    out = checkpoint(capsys, "show", config)
    assert out.startswith("step 12\n")
    assert 'loader: {"next_index": 12}' in out
    assert out.endswith("\nTrainConfig.steps = 12\n")
    assert "next_learning_rate: 0.125" in checkpoint(capsys, "show", config, "--step", 4)
    assert "has no checkpoint of step 5; it has: 4, 8, 12" in checkpoint(capsys, "show", config, "--step", 5, code=2)


def test_without_one_or_on_object_storage(config, capsys, tmp_path):
    (tmp_path / "none").mkdir()
    none = write_config(tmp_path / "none")
    assert "no finished checkpoint in" in checkpoint(capsys, "list", none, code=2)
    for name in ("RunConfig.workdir", "RunConfig.base", "TrainConfig.start"):
        refused = checkpoint(capsys, "list", config, f"--set={name}=gs://bucket/run", code=2)
        assert f"{name} = 'gs://bucket/run': expected a directory on a local or shared file system" in refused
