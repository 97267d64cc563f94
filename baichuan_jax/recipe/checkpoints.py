"""The checkpoints of a run as files: what there is, and whether it is what was written. Nothing here computes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from baichuan_jax.core.checksums import Damaged, read_manifest, verify
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json
from baichuan_jax.recipe.pipeline import Pipeline
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import model_stage
from baichuan_jax.train.config import CHECKPOINTS, ITEM, aside_of, checkpoint_steps, no_checkpoint

UNVERIFIED = "unverified: no manifest"


@dataclass(frozen=True)
class Checkpoint:
    """A finished checkpoint, or one that was moved aside."""

    path: Path

    @cached_property
    def files(self) -> dict[str, int]:
        """The bytes of each of its files, by their names."""
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        return {str(path.relative_to(self.path)): path.stat().st_size for path in files}

    @property
    def size(self) -> int:
        """Bytes of all of its files."""
        return sum(self.files.values())

    @property
    def written(self) -> float:
        """When it was written, in seconds since the epoch."""
        return self.path.stat().st_mtime

    def read(self, item: str) -> dict[str, Any]:
        """Return a JSON item, {} if older code wrote none."""
        file = self.path / item / ITEM
        return read_json(file) if file.is_file() else {}

    def manifest(self) -> str:
        """Return whether it has a manifest, in words; its files are not read."""
        try:
            return UNVERIFIED if read_manifest(self.path) is None else "has a manifest"
        except Damaged as error:
            return f"damaged: {error}"

    def check(self) -> str:
        """Return whether its files are what was written, in words; all of them are read."""
        try:
            return "as written" if verify(self.path) else UNVERIFIED
        except Damaged as error:
            return f"damaged: {error}"


def checkpoints_of(config: RunConfig) -> Path:
    """Return the directory of the checkpoints of the run's model: those of tuning, if the config tunes."""
    name = model_stage(config)
    return base_checkpoints(config) if name == "train" else Pipeline(config).place(name) / CHECKPOINTS


def base_checkpoints(config: RunConfig) -> Path:
    """Return the directory of the checkpoints of training: those it starts from, if it takes no step."""
    return Pipeline(config).place("train") / CHECKPOINTS if config.train.steps else Path(config.train.start)


def has_adapters(config: RunConfig) -> bool:
    """Return whether the run's model is that of training with adapters."""
    return bool(config.lora.adapter) or (model_stage(config) == "tune" and config.lora.rank > 0)


def find_checkpoints(config: RunConfig, step: int | None = None) -> dict[int, Checkpoint]:
    """Return the finished checkpoints of a run by step, or only that of a step. Raise UserError if there is none."""
    directory = checkpoints_of(config)
    steps = checkpoint_steps(directory)
    if not steps:
        raise UserError(no_checkpoint(directory))
    if step is not None and step not in steps:
        raise UserError(f"{directory} has no checkpoint of step {step}; it has: {', '.join(map(str, steps))}")
    return {each: Checkpoint(directory / str(each)) for each in (steps if step is None else [step])}


def find_aside(config: RunConfig) -> list[Checkpoint]:
    """Return the checkpoints of a run that could not be used, and were moved aside."""
    return [Checkpoint(path) for path in sorted(aside_of(checkpoints_of(config)).glob("[0-9]*"))]
