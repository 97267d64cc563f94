"""The whole recipe through the command line, in processes of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.config.load import load
from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import wanted
from experiments.benchmarks.bench_train_gpu import Timing, whole
from tests.cli.small import command, environment, run, write_config

STAGES = wanted(RunConfig())  # without instructions there is no tuning
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(config file, workdir) of a run that nothing disturbed."""
    directory = tmp_path_factory.mktemp("finished")
    config = write_config(directory)
    run("run", config)
    return config, directory / "run"


def losses(workdir: Path) -> dict[int, float]:
    return {record["step"]: record["loss"] for record in read_metrics(workdir / "train") if "loss" in record}


def test_every_stage_leaves_a_result_and_a_manifest(finished):
    _, workdir = finished
    for stage in STAGES:
        assert json.loads((workdir / stage / "result.json").read_text())["stage"] == stage
        assert (workdir / stage / "manifest.json").exists()
    assert sorted(losses(workdir)) == list(range(1, 13))
    assert (workdir / "report" / "report.html").stat().st_size > 10_000
    samples = json.loads((workdir / "generate" / "result.json").read_text())["samples"]
    assert [sample["prompt"] for sample in samples] == ["中国", "The people"]


def test_training_lowers_bits_per_byte_below_the_first_evaluation(finished):
    _, workdir = finished
    means = [record["validation_mean"] for record in read_metrics(workdir / "train") if "validation_mean" in record]
    assert len(means) == 3
    assert means[-1] < means[0] - 0.1


def test_the_second_run_skips_every_stage_without_loading_jax(finished):
    config, _ = finished
    start = time.monotonic()
    done = run("run", config)
    assert done.stdout.count("done before, skipped") == len(STAGES)
    assert time.monotonic() - start < 20


def test_the_saved_config_rebuilds_the_same_config(finished):
    config, workdir = finished
    assert load(workdir / "config.gin", (), RunConfig).config == load(config, (), RunConfig).config
    done = run("run", workdir / "config.gin")
    assert done.stdout.count("skipped") == len(STAGES)


def test_generate_continues_a_prompt(finished):
    done = run("generate", finished[0], "--prompt", "We report")
    assert done.stdout.startswith("We report")
    assert len(done.stdout.strip()) > len("We report")


@pytest.mark.slow
def test_a_copy_without_its_corpus_generates(finished, tmp_path):
    """Nor are the sources of the config within reach."""
    config, workdir = finished
    for name in ("tokenizer", "train"):
        shutil.copytree(workdir / name, tmp_path / "copy" / name)
    away = (
        "--set",
        f"RunConfig.workdir={tmp_path / 'copy'}",
        "--set",
        "DataConfig.sources={'zh': 'demo:gone', 'en': 'nowhere/*.jsonl'}",
    )
    sample = ("--prompt", "We report", "--set", "SampleConfig.temperature=0.0")
    assert run("generate", config, *sample, *away).stdout == run("generate", config, *sample).stdout
    done = run("generate", config, *away, "--set", "SampleConfig.prompts=('We report',)")
    assert "done before" not in done.stdout


@pytest.mark.slow
def test_generate_continues_every_line_of_a_file_in_order(finished, tmp_path):
    lines = ["中国", "We report", "The people of"]
    (tmp_path / "prompts.txt").write_text("\n\n".join(lines), encoding="utf-8")
    command = ("generate", finished[0], "--file", tmp_path / "prompts.txt", "--set", "EngineConfig.slots=2")
    done = run(*command).stdout
    places = [done.index(line) for line in lines]
    assert places == sorted(places)
    assert run(*command).stdout == done


@pytest.mark.slow
@pytest.mark.parametrize(
    "benchmark",
    [
        ("bench_train", "--steps", "1"),
        ("bench_input",),
        ("bench_storage", "--rows", "2", "--set=DecoderConfig.context=260"),
    ],
)
def test_benchmarks_run_and_print_a_rate(finished, benchmark):
    name, *options = benchmark
    module = [sys.executable, "-m", f"experiments.benchmarks.{name}", str(finished[0]), *options]
    done = subprocess.run(module, capture_output=True, text=True, env=environment(), check=True, cwd=ROOT)
    assert re.search(r"[\d.]+ (M )?tokens/s", done.stdout)


@pytest.mark.slow
@pytest.mark.slow
def test_the_benchmark_of_restarts_finds_the_same_bits(finished):
    module = [sys.executable, "-m", "experiments.benchmarks.bench_start", str(finished[0]), "--repeats", "1"]
    done = subprocess.run(module, capture_output=True, text=True, env=environment(), check=True, cwd=ROOT)
    assert re.search(r"^kept .* all [\d.]+, imports [\d.]+, .*first step [\d.]+$", done.stdout, re.MULTILINE)
    assert "two steps after a restart: the same bits" in done.stdout


def test_the_benchmark_for_a_gpu_says_that_there_is_none():
    command = [sys.executable, "-m", "experiments.benchmarks.bench_train_gpu"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True, cwd=ROOT)
    assert done.stdout == "no GPU here but a cpu: not run\n"


def test_what_a_step_of_all_layers_takes_is_on_the_line_through_two():
    timings = [Timing("a", 4, 2, 0.5, 10.0), Timing("a", 8, 2, 0.75, 14.0)]
    assert whole(timings, 32) == [Timing("a: extrapolated", 32, 2, 2.25, 38.0)]


@pytest.mark.slow
def test_the_benchmark_of_generation_runs():
    command = [
        sys.executable,
        "-m",
        "experiments.benchmarks.bench_generate",
        "configs/model/debug.gin",
        "--rounds",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True, cwd=ROOT)
    assert len(re.findall(r"debug .*prompts: [\d,]+ tokens/s", done.stdout)) == 2


def test_the_documents_of_a_step_are_those_it_was_trained_on(finished, capsys, tmp_path):
    config, workdir = finished
    assert main(["checkpoint", "verify", str(config)]) == 0
    assert len(re.findall(r"^step \d+: as written", capsys.readouterr().out, re.MULTILINE)) == 2
    logged = dict(line.split() for line in (workdir / "train/batches.txt").read_text().splitlines())
    assert [int(step) for step in logged] == list(range(1, 13))
    assert main(["data", "replay", str(config), "--step", "5", "--characters", "20"]) == 0
    out = capsys.readouterr().out
    assert f"step 5: batch hash {logged['5']}, as it was trained on" in out
    assert len(re.findall(r"^row \d: (zh|en)$", out, re.MULTILINE)) == 8
    texts = "".join(" ".join(json.loads(line)["text"].split()) for line in _lines(config.parent))
    shown = re.findall(r"document \d+ \S+\.jsonl:\d+ \(id \w+\), ids 0-\d+ of \d+: (.{15})", out)
    assert shown
    assert all(text in texts for text in shown)
    copy = tmp_path / "run"
    shutil.copytree(workdir, copy)
    (copy / "train/batches.txt").write_text(f"5 {logged['6']}\n")
    assert main(["data", "replay", str(config), "--step", "5", f"--set=RunConfig.workdir={copy}"]) == 2
    assert f"step 5 was trained on another batch, of hash {logged['6']}" in capsys.readouterr().err


def _lines(directory: Path) -> list[str]:
    return [line for name in ("zh", "en") for line in (directory / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.slow  # tests/chaos/test_three_kills.py is the default
def test_kill_9_then_the_same_command_ends_with_the_same_bits(finished, tmp_path):
    config = write_config(tmp_path)
    workdir = tmp_path / "run"
    process = subprocess.Popen(command("run", config), env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    # A checkpoint of step 4 or later is finished, and steps beyond it have been made that will be lost.
    while not (checkpointed(workdir) and max(losses(workdir), default=0) > checkpointed(workdir)):
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (workdir / "train" / "manifest.json").exists()
    assert run("run", config).stdout.count("skipped") == 3
    assert losses(workdir) == losses(finished[1]), "not bit for bit"
    evaluations = [
        json.loads((directory / "evaluate" / "result.json").read_text())["domains"]
        for directory in (workdir, finished[1])
    ]
    assert evaluations[0] == evaluations[1]


def checkpointed(workdir: Path) -> int:
    """Step of the newest finished checkpoint, 0 if there is none."""
    directory = workdir / "train" / "checkpoints"
    return max((int(path.name) for path in directory.glob("*") if path.name.isdigit()), default=0)


def test_ctrl_c_saves_a_checkpoint_and_the_same_command_goes_on(finished, tmp_path):
    config = write_config(tmp_path)
    workdir = tmp_path / "run"
    process = subprocess.Popen(command("run", config), env=environment(), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not losses(workdir):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "run the same command to go on" in errors
    assert checkpointed(workdir) == max(losses(workdir))
    parts = (
        r"first step after [\d.]+ s: imports [\d.]+, (restore|compile) [\d.]+, (compile|restore) [\d.]+, first step "
    )
    assert re.search(parts, run("run", config).stderr)
    assert losses(workdir) == losses(finished[1])


@pytest.mark.slow
def test_eight_devices_with_a_context_and_a_tensor_axis(finished, tmp_path):
    """Of training alone: evaluation and generation split rows, and no sequences."""
    config, workdir = finished
    other = tmp_path / "run"
    axes = ("--set", "MeshConfig.context=2", "--set", "MeshConfig.tensor=2")
    run("run", config, "--set", f"RunConfig.workdir={other}", *axes, devices=8)
    expected = losses(workdir)
    assert losses(other).keys() == expected.keys()
    for step, loss in losses(other).items():
        assert loss == pytest.approx(expected[step], rel=1e-4)


@pytest.mark.slow
def test_a_tokenizer_of_another_kind_trains_too(finished, tmp_path):
    """The export of the first run's tokenizer, as any tokenizer.json: the same tokens, and so the same losses."""
    _, workdir = finished
    file = tmp_path / "theirs.json"
    file.write_bytes((workdir / "tokenizer" / "tokenizer.json").read_bytes())
    run("run", write_config(tmp_path, f"TokenizerConfig.file = '{file}'\n"))
    assert losses(tmp_path / "run") == losses(workdir)
    assert json.loads((tmp_path / "run/tokenizer/result.json").read_text())["file"] == "theirs.json"
    file.write_text("{}")
    assert "source file theirs.json has changed since" in run("tokenizer", tmp_path / "small.gin", code=2).stderr
