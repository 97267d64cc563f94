"""A run's trained decoder, ready to compute with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax

from baichuan_jax.core.stage import finished_in
from baichuan_jax.model.decoder import Params
from baichuan_jax.model.execution import Execution
from baichuan_jax.model.fingerprint import fingerprint
from baichuan_jax.model.lora import merge
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.parallel.program_cache import keep_programs
from baichuan_jax.recipe.adapters import check_base, load_adapters
from baichuan_jax.recipe.checkpoints import base_checkpoints, checkpoints_of, has_adapters
from baichuan_jax.recipe.progress import Progress
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.stages.tokenizer import load_run_tokenizer, tokenizer_place
from baichuan_jax.recipe.table import model_stage
from baichuan_jax.tokenizer.checkpoint_files import end_ids
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.tokenizer_files import tokenizer_file
from baichuan_jax.train.checkpoint import Checkpoints
from baichuan_jax.train.state import abstract_params
from baichuan_jax.train.step import make_execution

if TYPE_CHECKING:
    from baichuan_jax.generate.engine import Engine


class Trained(NamedTuple):
    """A run's decoder and its tokenizer. end_ids: ids of which any ends a text."""

    params: Params
    tokenizer: AnyTokenizer
    end_ids: tuple[int, ...]
    exe: Execution


def make_layout(config: RunConfig) -> Layout:
    """Return the config's rules over the devices at hand, for which compiled programs are kept from here on."""
    keep_programs(config.compilation_cache)
    return Layout(make_mesh(config.mesh), config.rules)


def load_params(config: RunConfig, layout: Layout, progress: Progress) -> Params:
    """Return the newest parameters, sharded: those that tuning has made, if the config tunes."""
    if has_adapters(config):
        return _merged(config, layout, progress)
    tuned = Path(config.workdir) / "tune"
    if model_stage(config) == "train" and finished_in(tuned):
        progress.note(f"{tuned} has a tuned model; without InstructionConfig.sources the one before tuning is read")
    return _restored(checkpoints_of(config), config, layout)


def load_base(config: RunConfig, layout: Layout) -> Params:
    """Return the parameters that tuning begins with, sharded."""
    return _restored(base_checkpoints(config), config, layout)


def _restored(folder: Path, config: RunConfig, layout: Layout) -> Params:
    with Checkpoints(folder) as checkpoints:
        return checkpoints.restore_params(abstract_params(config.model, layout))


def _merged(config: RunConfig, layout: Layout, progress: Progress) -> Params:
    """Return the base with its adapters. Raise UserError if they were trained beside another base."""
    found, base = load_adapters(config, layout), load_base(config, layout)
    check_base(found, config, fingerprint(base), progress)
    return jax.jit(partial(merge, found.cfg), donate_argnums=0)(base, found.adapters)


def load_trained(config: RunConfig, progress: Progress) -> Trained:
    """Return the run's newest parameters with what computing takes."""
    layout = make_layout(config)
    exe = make_execution(config.train, config.model, layout, trains=False).by_rows
    tokenizer = load_run_tokenizer(config)
    with progress.status("loading the model"):
        params = load_params(config, layout.by_rows, progress)
    ids = (*tokenizer.end, *end_ids(tokenizer_file(tokenizer_place(config)).parent))
    return Trained(params, tokenizer, tuple(dict.fromkeys(ids)), exe)


def make_engine(config: RunConfig, trained: Trained) -> Engine:
    """Return an engine, which has a copy of the parameters."""
    from baichuan_jax.generate.engine import Engine  # which training does without

    return Engine(config.engine, config.model, trained.params, trained.end_ids, trained.exe)
