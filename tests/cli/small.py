"""A run small enough to test with, over local text, in its own process or in this one."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

CHINESE = "中国人民的生活越来越好新世纪充满希望这本书内容很不错值得一读我们在北京大学学习经济社会发展政府工作"
ENGLISH = (
    "the",
    "people",
    "of",
    "these",
    "united",
    "states",
    "have",
    "made",
    "a",
    "constitution",
    "and",
    "we",
    "report",
)

CONFIG = """
include 'configs/base.gin'
include 'configs/model/debug.gin'
RunConfig.workdir = '{workdir}'
DataConfig.sources = {{'zh': '{texts}/zh.jsonl', 'en': '{texts}/en.jsonl'}}
SelectConfig.validation_fraction = 0.1
TokenizerConfig.character_coverage = 0.99
TrainConfig.steps = 12
TrainConfig.batch = 8
TrainConfig.length = 32
TrainConfig.log_every = 1
TrainConfig.eval_every = 6
TrainConfig.eval_windows = 4
TrainConfig.checkpoint_every = 4
OptimConfig.peak_lr = 5e-3
OptimConfig.warmup_steps = 2
EvaluateConfig.length = 32
SampleConfig.prompts = ('中国', 'The people')
SampleConfig.max_tokens = 8
"""


def write_texts(directory: Path, documents: int = 200) -> None:
    """Write zh.jsonl and en.jsonl: random sentences of real words, the same at every call."""
    rng = random.Random(0)
    for name, make in {
        "zh": lambda: "。".join("".join(rng.choices(CHINESE, k=rng.randint(8, 20))) for _ in range(6)) + "。",
        "en": lambda: " ".join(" ".join(rng.choices(ENGLISH, k=12)).capitalize() + "." for _ in range(6)),
    }.items():
        lines = (json.dumps({"text": make()}, ensure_ascii=False) for _ in range(documents))
        (directory / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_config(directory: Path, extra: str = "") -> Path:
    """Write the texts and a config over them; the workdir is `directory`/run."""
    write_texts(directory)
    path = directory / "small.gin"
    path.write_text(CONFIG.format(workdir=directory / "run", texts=directory) + extra, encoding="utf-8")
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "baichuan_jax.cli.main", *map(str, arguments)]


def environment(devices: int = 1) -> dict[str, str]:
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    return {**os.environ, "XLA_FLAGS": flags, "PYTHONUNBUFFERED": "1"}


def run(*arguments: object, code: int = 0, devices: int = 1, timeout: float = 300) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own and checks its exit code."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(devices), timeout=timeout, check=False
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
