"""A small run as the stages leave it: manifests, results, metrics and config, without running anything."""

import math
from pathlib import Path

import pytest

from baichuan_jax.core.files import write_json, write_text
from baichuan_jax.core.goodput import INIT, STEP, append, measured
from baichuan_jax.core.metrics import Metrics
from baichuan_jax.core.stage import versions
from baichuan_jax.data.funnel import Count, Funnel, Removed

DOMAINS = ("zh_reviews", "zh_news", "en_speeches", "code")
SAMPLES = (
    {"prompt": "中国政府", "text": "表示,将继续推动经济结构的调整。\n与此同时,各地还要加强市场监管。"},
    {"prompt": "The people of the United States", "text": " have a right to expect that the Congress will act."},
    {"prompt": "def __init__(self", "text": ", name):\n    self.name = name\n    self.items = []\n"},
)
STEPS, TOKENS_PER_STEP = 400, 16 * 128
KEPT = {"documents": 880, "bytes": 4_100_000}
CONFIG = """RunConfig.workdir = 'runs/{name}'
TrainConfig.steps = {steps}
TrainConfig.batch = 16
TrainConfig.length = 128
"""
SCORES = [0] * 8 + [n * n for n in range(12)]
BIN = {"low": 0.6, "high": 0.7, "mean_score": 0.65, "share_good": 0.7, "count": 30}
QUALITY = {
    "zh": {"good": 90, "bad": 80, "auc": 0.9876, "auc_of_length": 0.612, "auc_equal_length": 0.953}
    | {"calibration": [BIN, {"low": 0.9, "high": 1.0, "mean_score": 0.95, "share_good": 0.94, "count": 90}]},
    "code": {"good": 3, "bad": 2},
}


@pytest.fixture(scope="session")
def data_result() -> dict:
    """Return the result of a data step."""
    return results(DOMAINS, SAMPLES, STEPS)["data"]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """Return make_run(domains, samples, name, steps) -> workdir."""

    def make(domains=DOMAINS, samples=SAMPLES, name="quickstart", steps=STEPS) -> Path:
        workdir = tmp_path_factory.mktemp("runs") / name
        write_text(workdir / "config.gin", CONFIG.format(name=name, steps=steps))
        for seconds, (stage, result) in enumerate(results(domains, samples, steps).items(), 1):
            result = {"stage": stage, "seconds": 13.37 * seconds, **result}
            write_json(workdir / stage / "result.json", result)
            manifest = {"settings": [], "inputs": {}, "files": {}, "versions": versions(), "result": result}
            if stage == "train":
                manifest["changes"] = [{"step": 100, "setting": "OptimConfig.peak_lr", "before": "2.0", "after": "1.0"}]
            write_json(workdir / stage / "manifest.json", manifest)
        write_metrics(workdir / "train", domains, steps)
        append(workdir, measured(1000, 1100, steps, {STEP: 90, INIT: 8}))
        return workdir

    return make


def results(domains, samples, steps) -> dict[str, dict]:
    final = {domain: _bits(number, steps) for number, domain in enumerate(domains)}
    return {
        "data": {
            "domains": {domain: {**KEPT, "language": {"zh": 860, "en": 20}, "scores": SCORES} for domain in domains},
            "funnel": {domain: _funnel(number) for number, domain in enumerate(domains)},
            "quality": QUALITY,
            "megabytes_per_second": 12.34,
        },
        "tokenizer": {
            "vocab": 8000,
            "compression": {
                domain: {"bytes_per_token": 3.2 + 0.31 * n, "tokens_per_character": 0.9 / (n + 1)}
                for n, domain in enumerate(domains)
            },
        },
        "tokens": {
            "domains": {
                domain: {
                    "train": {"documents": 860, "tokens": 1_200_345},
                    "validation": {"documents": 20, "tokens": 24_012},
                }
                for domain in domains
            },
            "tokens": 1_224_357 * len(domains),
            "tokens_per_second": 2.1e6,
        },
        "train": {
            "parameters": 12_345_678,
            "tokens": steps * TOKENS_PER_STEP,
            "steps": steps,
            "loss": 3.9876,
            "validation": final,
            "tokens_per_second": 9876.5,
            "mfu_full": 0.412,
            "tokens_per_second_per_device": 1234.6,
            "mfu_causal": 0.398,
            "hfu": 0.523,
            "step_memory_bytes": 3 * 2**30,
            "peak_flops": 1.1e12,
            "peak_source": "measured: the best float32 1024 x 1024 matrix product",
            "mesh": {"data": 1, "fsdp": 8, "tensor": 1},
            "device": "cpu",
        },
        "evaluate": {
            "domains": {
                domain: {
                    "bits_per_byte": bits,
                    "unigram": bits + 0.8,
                    "zstd": bits + 0.21,
                    "by_position": [
                        {"first": first, "last": 2 * first - 1, "bits_per_byte": bits + 1 / first}
                        for first in (1, 2, 4, 8, 16, 32, 64)
                    ],
                    "bytes": 90_123,
                    "tokens": 24_012,
                }
                for domain, bits in final.items()
            }
        },
        "generate": {"samples": list(samples)},
    }


def _funnel(number: int) -> dict:
    removed = {
        "duplicate": _removed(60 + number, 400_000, "又一次 the same again"),
        "too_short": _removed(40, 4_321, "ok", "不错"),
        "repetitive": _removed(20, 95_000 * (number + 1), "click here to subscribe"),
    }
    normalised_away = 12_000 * (number - 1)  # more or less than nothing
    size = KEPT["bytes"] + normalised_away + sum(entry.bytes for entry in removed.values())
    pruned = {
        "boilerplate": _removed(1_234, 56_000, "点击查看更多"),
        "repeated": _removed(321, 9_000, "All rights reserved."),
    }
    return Funnel(Count(1000 + number, size), Count(**KEPT), removed, pruned, number).as_json()


def _removed(documents: int, size: int, *texts: str) -> Removed:
    return Removed(documents, size, [{"source": "texts.jsonl:7", "text": text} for text in texts])


def _bits(number: int, step: int) -> float:
    return 1.6 + 0.23 * (number % 5) + 0.05 * number + 4 * math.exp(-step / 90)


def write_metrics(directory: Path, domains, steps) -> None:
    with Metrics(directory) as metrics:
        for step in range(steps + 1):
            if (step % 5 == 0 and step) or step == steps:
                metrics.write(_step(step, steps))
            if step % 50 == 0 or step == steps:
                bits = {domain: _bits(number, step) for number, domain in enumerate(domains)}
                mean = sum(bits.values()) / len(bits)
                metrics.write({"step": step, "validation": bits, "validation_mean": mean})


def _step(step: int, steps: int) -> dict:
    noise = math.sin(step * 12.9898) * 43758.5453 % 1 - 0.5
    rate = 9900 + 900 * noise
    return {
        "step": step,
        "loss": 3.6 + 5.4 * math.exp(-step / 70) + 0.3 * noise,
        "grad_norm": 0.6 + 2 * math.exp(-step / 40) + 0.2 * noise,
        "learning_rate": 2e-3 * min(step / 40, 0.55 + 0.45 * math.cos(math.pi * step / steps)),
        "tokens_per_second": rate,
        "mfu_full": rate * 4.17e-5,
        "tokens_per_second_per_device": rate / 8,
        "mfu_causal": rate * 4.02e-5,
        "hfu": rate * 5.3e-5,
    }
