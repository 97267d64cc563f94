"""What the stages around a trained model share: its tokenizer, its layout, and its newest parameters."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from baichuan_jax.cli.progress import status
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.decoder import Params
from baichuan_jax.model.execution import Execution
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.tokenizer import load
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.published import end_ids
from baichuan_jax.tokenizer.stages import stage_bos
from baichuan_jax.train.checkpoint import Checkpoints
from baichuan_jax.train.loop import CHECKPOINTS
from baichuan_jax.train.state import abstract_params
from baichuan_jax.train.step import make_execution


class Trained(NamedTuple):
    """A run's decoder, ready to compute. end_ids: ids of which any ends a text."""

    params: Params
    tokenizer: AnyTokenizer
    end_ids: tuple[int, ...]
    exe: Execution


def make_layout(config: RunConfig) -> Layout:
    """Return the config's rules over the devices at hand."""
    return Layout(make_mesh(config.mesh), config.rules)


def tokenizer_place(config: RunConfig, workdir: Path) -> Path:
    """Return where the run's tokenizer is: a file, or the directory of its own, or of its copy of a lost file."""
    file, own = Path(config.tokenizer.file), workdir / "tokenizer"
    return file if config.tokenizer.file and (file.exists() or not own.is_dir()) else own


def load_tokenizer(config: RunConfig, workdir: Path) -> AnyTokenizer:
    """Return the run's tokenizer, which begins texts as it did when the run was trained."""
    asked = config.tokenizer.bos
    trained_with = stage_bos(workdir / "tokenizer") if config.train.steps else None
    if trained_with and asked != "auto" and (asked == "off") != (trained_with == "off"):
        had = "nothing" if trained_with == "off" else "the id that begins a text"
        raise UserError(
            f"TokenizerConfig.bos = {asked!r}: this run was trained with {had} before every text; set it to 'auto', or "
            "choose another directory (--set RunConfig.workdir=...)"
        )
    return load.load_tokenizer(tokenizer_place(config, workdir), trained_with or asked)


def checkpoints_of(config: RunConfig, workdir: Path) -> Path:
    """Return the directory of the run's checkpoints: those it starts from, if it takes no step."""
    return workdir / "train" / CHECKPOINTS if config.train.steps else Path(config.train.start)


def load_params(config: RunConfig, workdir: Path, layout: Layout) -> Params:
    """Return the newest parameters, sharded."""
    with Checkpoints(checkpoints_of(config, workdir)) as checkpoints:
        return checkpoints.restore_params(abstract_params(config.model, layout))


def load_trained(config: RunConfig, workdir: Path) -> Trained:
    """Return the run's newest parameters with what computing takes."""
    exe = make_execution(config.train, config.model, make_layout(config)).by_rows
    tokenizer = load_tokenizer(config, workdir)
    with status("loading the model"):
        params = load_params(config, workdir, exe.layout)
    ids = (*tokenizer.end, *end_ids(load.tokenizer_file(tokenizer_place(config, workdir)).parent))
    return Trained(params, tokenizer, tuple(dict.fromkeys(ids)), exe)
