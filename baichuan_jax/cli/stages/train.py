"""Stage train: token shards to checkpoints."""

from __future__ import annotations

from pathlib import Path

import jax

from baichuan_jax.cli.progress import train_progress
from baichuan_jax.cli.stages.trained import load_tokenizer, make_layout
from baichuan_jax.evaluate.bits import BitsPerByte
from baichuan_jax.evaluate.heldout import held_out
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.tokenizer.shards import TokenStore
from baichuan_jax.train.input import Batches, local_rows
from baichuan_jax.train.loop import train, untrained
from baichuan_jax.train.state import abstract_params
from baichuan_jax.train.step import check_split, make_execution


def check(config: RunConfig) -> None:
    """Raise UserError if the devices at hand cannot hold the mesh, the parameters or the batch as configured."""
    layout = make_layout(config)
    abstract_params(config.model, layout)
    check_split(config.train, config.model, layout)


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Trains, or goes on training, to the last step."""
    cfg, layout = config.train, make_layout(config)
    if cfg.steps == 0:
        return untrained(config.model, layout)
    store = TokenStore(workdir / "tokens")
    texts = {domain: held_out(store, domain, cfg.length, cfg.eval_windows) for domain in store.domains}
    lengths = load_tokenizer(config, workdir).byte_lengths()
    batches = Batches(cfg, config.mix, store, local_rows(layout, cfg.batch))
    exe = make_execution(cfg, config.model, layout, domains=len(batches.domains))
    validate = BitsPerByte(config.model, texts, lengths, exe.by_rows, cfg.batch)
    with train_progress(cfg, shown=jax.process_index() == 0) as report:
        return train(cfg, config.optim, config.model, exe, batches, directory, validate, report, config.profile)
