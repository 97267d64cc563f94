"""A run that goes on from a checkpoint needs no more memory than one that begins."""

import json
import shutil

import pytest

from tests.cli.small import run, write_config

LARGER = """
DecoderConfig.layers = 6
DecoderConfig.hidden = 768
DecoderConfig.heads = 12
DecoderConfig.head_dim = 64
DecoderConfig.inner = 2048
OptimConfig.warmup_steps = 1
TrainConfig.steps = 4
TrainConfig.checkpoint_every = 2
TrainConfig.eval_every = 4
"""  # the parameters and both moments are 500 MB, so that a second copy of them shows


@pytest.mark.slow
def test_the_peak_of_a_resumed_run_is_that_of_a_fresh_one(tmp_path):
    config = write_config(tmp_path, LARGER)
    run("data", config)
    run("tokenizer", config)
    peaks = {}
    for name, stops in {"fresh": [4], "resumed": [2, 4]}.items():
        workdir = tmp_path / name
        for stage in ("data", "tokenizer", "tokens"):
            shutil.copytree(tmp_path / "run" / stage, workdir / stage)
        for steps in stops:
            run("train", config, f"--set=RunConfig.workdir={workdir}", f"--set=TrainConfig.steps={steps}")
        peaks[name] = json.loads((workdir / "train/manifest.json").read_text())["peak_host_memory_bytes"]
    assert peaks["resumed"] <= 1.1 * peaks["fresh"], peaks
