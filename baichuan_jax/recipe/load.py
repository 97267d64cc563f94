"""Read the config of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from baichuan_jax.config.literal import literal
from baichuan_jax.config.load import Loaded, load
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import config_class

Overrides = Mapping[str, Any] | Sequence[str]


def load_config(path: Path | str | None = None, overrides: Overrides = ()) -> RunConfig:
    """Return the config that a gin file binds; without a file, the defaults.

    overrides: {"TrainConfig.steps": 100}, or ["TrainConfig.steps=100"] as the command line has them. Raise UserError on
    a file, a name or a value that cannot be.

        cfg = load_config("configs/runs/quickstart.gin", {"TrainConfig.steps": 100})
        cfg.train.steps
    """
    return load_with_origins(path, overrides).config


def load_with_origins(path: Path | str | None, overrides: Overrides = ()) -> Loaded:
    """Return the config of a run, and where each of its values comes from."""
    return load(path, as_lines(overrides), config_class())


def as_lines(overrides: Overrides) -> Sequence[str]:
    """Return overrides as the command line has them: "TrainConfig.steps=100"."""
    if isinstance(overrides, Mapping):
        return [f"{name}={_value(value)}" for name, value in overrides.items()]
    return overrides


def _value(value: Any) -> str:
    return literal(str(value) if isinstance(value, Path) else value)
