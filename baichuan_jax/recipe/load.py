"""Read the config of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from baichuan_jax.config.literal import literal
from baichuan_jax.config.load import Loaded, load
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import config_class
from baichuan_jax.recipe.workdir import CONFIG, is_workdir

Overrides = Mapping[str, Any] | Sequence[str]


def load_config(path: Path | str | None = None, overrides: Overrides = ()) -> RunConfig:
    """Return the config that a gin file binds; without a file, the defaults.

    overrides: {"TrainConfig.steps": 100}, or ["TrainConfig.steps=100"] as the command line has them. Raise UserError on
    a file, a name or a value that cannot be.

        cfg = load_config("quickstart", {"TrainConfig.steps": 100})
        cfg.train.steps
    """
    return load_with_origins(path, overrides).config


def load_with_origins(path: Path | str | None, overrides: Overrides = ()) -> Loaded:
    """Return the config of a run, and where each of its values comes from.

    A config that a run has saved in its workdir is of that folder, wherever it has been moved to.
    """
    loaded = load(path, as_lines(overrides), config_class())
    config = at_home(path, loaded.config, loaded.origins)
    if config is loaded.config:
        return loaded
    return Loaded(config, loaded.origins | {"RunConfig.workdir": f"where {CONFIG} is"})


def at_home(path: Path | str | None, config: RunConfig, origins: Mapping[str, str]) -> RunConfig:
    """Return a config with the workdir that it was saved in, wherever that has been moved to."""
    folder = Path(path or "").parent
    if origins["RunConfig.workdir"] == "--set" or Path(path or "").name != CONFIG or not is_workdir(folder):
        return config
    if folder.resolve() == Path(config.workdir).resolve():
        return config
    return replace(config, workdir=str(folder))


def as_lines(overrides: Overrides) -> Sequence[str]:
    """Return overrides as the command line has them: "TrainConfig.steps=100"."""
    if isinstance(overrides, Mapping):
        return [f"{name}={_value(value)}" for name, value in overrides.items()]
    return overrides


def _value(value: Any) -> str:
    return literal(str(value) if isinstance(value, Path) else value)
