"""Stage evaluate: the trained model against held-out text."""

from __future__ import annotations

from pathlib import Path

from baichuan_jax.cli.progress import status
from baichuan_jax.cli.stages.trained import load_params, load_tokenizer, make_layout
from baichuan_jax.evaluate.stage import evaluate
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.tokenizer.shards import TokenStore
from baichuan_jax.train.step import make_execution


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Measures bits per byte of every domain, beside the baselines."""
    exe, store = make_execution(config.train, config.model, make_layout(config)).by_rows, TokenStore(workdir / "tokens")
    params = load_params(config, workdir, exe.layout)
    with status("scoring held-out text"):
        return evaluate(config.evaluate, config.model, params, store, load_tokenizer(config, workdir), exe)
