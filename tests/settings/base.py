"""A small config, and how observers build its stages."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from unittest.mock import patch

import jax

from baichuan_jax.config.load import load
from baichuan_jax.core.files import digest
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import STAGES, config_class

TIMES = ("seconds", "_per_second", "mfu", "hfu", "bytes", "peak")  # in the names of numbers that differ in every run
SMALL = {
    "RunConfig.workdir": "run",
    "DataConfig.sources": {"zh": "zh.jsonl", "en": "en-*.jsonl"},
    "SelectConfig.validation_fraction": 0.2,
    "TokenizerConfig.vocab": 450,
    "TokenizerConfig.character_coverage": 0.98,
    "DecoderConfig.vocab": 480,
    "DecoderConfig.layers": 1,
    "DecoderConfig.hidden": 32,
    "DecoderConfig.heads": 4,
    "DecoderConfig.head_dim": 8,
    "DecoderConfig.inner": 64,
    "DecoderConfig.context": 64,
    "DecoderConfig.remat": "none",
    "TrainConfig.steps": 3,
    "TrainConfig.batch": 8,
    "TrainConfig.length": 16,
    "TrainConfig.eval_windows": 2,
    "OptimConfig.warmup_steps": 1,
    "EvaluateConfig.length": 16,
    "EvaluateConfig.windows": 20,
    "SampleConfig.prompts": ("the people", "of"),
    "SampleConfig.max_tokens": 6,
    "EngineConfig.slots": 2,
    "EngineConfig.burst": 2,
}
# A model that is there already.
TRAINED = {
    "TrainConfig.steps": 0,
    "TrainConfig.start": "weights/checkpoints",
    "TokenizerConfig.file": "run/tokenizer/tokenizer.model",
}


def config_of(overrides: dict, root: type | None = None) -> RunConfig:
    changes = [f"{name}={value!r}" for name, value in (SMALL | overrides).items()]
    return load(None, changes, root or config_class()).config


def stage(name: str, config: RunConfig, directory: Path) -> dict:
    """Build a stage into a directory, from those before it in the workdir."""
    directory.mkdir(parents=True, exist_ok=True)
    return STAGES[name].build(Run(config), directory).as_record()


def on_one_device(observer: Callable) -> Callable:
    """Return the observer for a machine of one device, which compiles faster than the eight that tests have."""

    @wraps(observer)
    def observe(config: RunConfig, scratch: Path) -> object:
        device = jax.devices()[:1]
        with patch.object(jax, "devices", lambda *_: device):
            return observer(config, scratch)

    return observe


def written(directory: Path, without: str = "") -> dict[str, str]:
    """Return the digests of the files of a directory."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != without)
    return {str(path.relative_to(directory)): digest(repr(path.read_bytes())) for path in files}


def timeless(found: object) -> object:
    """Return a result without what depends on the clock."""
    if isinstance(found, dict):
        return {key: timeless(value) for key, value in found.items() if not any(time in key for time in TIMES)}
    return [timeless(item) for item in found] if isinstance(found, list | tuple) else found
