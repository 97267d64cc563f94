"""The adapters of a run, and the base that they are for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import LoraConfig
from baichuan_jax.model.lora import Adapters
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.recipe.checkpoints import base_checkpoints, checkpoints_of
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.train.adapt import abstract_adapters
from baichuan_jax.train.checkpoint import Checkpoints, read_about


class RunAdapters(NamedTuple):
    """The newest adapters of a run. base: fingerprint of the parameters that they were trained beside."""

    cfg: LoraConfig
    adapters: Adapters
    base: str | None
    place: Path


def load_adapters(config: RunConfig, layout: Layout) -> RunAdapters:
    """Return the adapters that tuning has made, sharded."""
    folder = checkpoints_of(config)
    with Checkpoints(folder) as checkpoints:
        base = read_about(folder, checkpoints.newest()).get("base")
        adapters = checkpoints.restore_params(abstract_adapters(config.lora, config.model, layout))
    return RunAdapters(config.lora, adapters, base, folder)


def check_base(found: RunAdapters, config: RunConfig, fingerprint: str) -> None:
    """Raise UserError unless the base of a config, which has this fingerprint, is the one that adapters are for."""
    if found.base != fingerprint:
        raise UserError(
            f"the adapters in {found.place} were trained beside another base (fingerprint {found.base}) than that in "
            f"{base_checkpoints(config)} ({fingerprint}); put that one back, or tune anew with --redo"
        )
