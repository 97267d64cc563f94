"""The adapters of a run, and the base that they are for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax

from baichuan_jax.convert.peft import read_adapter
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import LoraConfig
from baichuan_jax.model.lora import Adapters
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.recipe.checkpoints import base_checkpoints, checkpoints_of
from baichuan_jax.recipe.progress import Progress
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.train.adapt import abstract_adapters
from baichuan_jax.train.checkpoint import Checkpoints, read_about, readable_abouts


class RunAdapters(NamedTuple):
    """The adapters of a run's model. base: fingerprint of the parameters that they were trained beside, if known."""

    cfg: LoraConfig
    adapters: Adapters
    base: str | None
    place: Path


def load_adapters(config: RunConfig, layout: Layout) -> RunAdapters:
    """Return the newest adapters that tuning has made, or those that the config names, sharded."""
    if config.lora.adapter:
        return _read(Path(config.lora.adapter), config, layout)
    folder = checkpoints_of(config)
    with Checkpoints(folder) as checkpoints:
        base = read_about(folder, checkpoints.newest()).get("base")
        adapters = checkpoints.restore_params(abstract_adapters(config.lora, config.model, layout))
    return RunAdapters(config.lora, adapters, base, folder)


def check_goes_on(config: RunConfig, fingerprint: str) -> None:
    """Raise UserError if adapters that are to be trained further were trained beside another base than this one."""
    folder = checkpoints_of(config)
    if (about := next(readable_abouts(folder), None)) is not None:
        check_base(RunAdapters(config.lora, {}, about.get("base"), folder), config, fingerprint, Progress())


def _read(directory: Path, config: RunConfig, layout: Layout) -> RunAdapters:
    found = read_adapter(directory, config.model)
    places = abstract_adapters(found.cfg, config.model, layout)
    adapters = jax.tree.map(lambda place, value: jax.device_put(value, place.sharding), places, found.adapters)
    return RunAdapters(found.cfg, adapters, found.base, directory)


def check_base(found: RunAdapters, config: RunConfig, fingerprint: str, progress: Progress) -> None:
    """Raise UserError unless the base of a config, which has this fingerprint, is the one that adapters are for.

    An adapter that another tool has made does not say, which is noted.
    """
    if config.lora.adapter and found.base is None:
        progress.note(f"the adapter in {found.place} does not say which base it was trained beside: not checked")
    elif found.base != fingerprint:
        advice = "name its own base" if config.lora.adapter else "put that one back, or tune anew with --redo"
        raise UserError(
            f"the adapters in {found.place} were trained beside another base (fingerprint {found.base}) than that in "
            f"{base_checkpoints(config)} ({fingerprint}); {advice}"
        )
