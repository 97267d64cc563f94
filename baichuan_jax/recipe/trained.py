"""A run's trained decoder, ready to compute with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from baichuan_jax.model.decoder import Params
from baichuan_jax.model.execution import Execution
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.parallel.program_cache import keep_programs
from baichuan_jax.recipe.checkpoints import checkpoints_of
from baichuan_jax.recipe.progress import Progress
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.stages.tokenizer import load_run_tokenizer, tokenizer_place
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


def load_params(config: RunConfig, layout: Layout) -> Params:
    """Return the newest parameters, sharded."""
    with Checkpoints(checkpoints_of(config)) as checkpoints:
        return checkpoints.restore_params(abstract_params(config.model, layout))


def load_trained(config: RunConfig, progress: Progress) -> Trained:
    """Return the run's newest parameters with what computing takes."""
    layout = make_layout(config)
    exe = make_execution(config.train, config.model, layout).by_rows
    tokenizer = load_run_tokenizer(config)
    with progress.status("loading the model"):
        params = load_params(config, layout.by_rows)
    ids = (*tokenizer.end, *end_ids(tokenizer_file(tokenizer_place(config)).parent))
    return Trained(params, tokenizer, tuple(dict.fromkeys(ids)), exe)


def make_engine(config: RunConfig, trained: Trained) -> Engine:
    """Return an engine, which has a copy of the parameters."""
    from baichuan_jax.generate.engine import Engine  # which training does without

    return Engine(config.engine, config.model, trained.params, trained.end_ids, trained.exe)
