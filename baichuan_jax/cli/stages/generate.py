"""Stage generate: continuations of the config's prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from baichuan_jax.cli.progress import status
from baichuan_jax.cli.run_config import RunConfig
from baichuan_jax.cli.stages.trained import load_params, load_tokenizer, make_layout
from baichuan_jax.generate.generate import generate
from baichuan_jax.train.step import compute_dtype


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Continues every prompt of the config."""
    return {"samples": continuations(config, workdir, config.sample.prompts)}


def continuations(config: RunConfig, workdir: Path, prompts: Sequence[str]) -> list[dict[str, str]]:
    """Returns [{"prompt", "text"}] by the newest parameters."""
    if not prompts:
        return []
    params, dtype = load_params(config, workdir, make_layout(config)), compute_dtype(config.train.compute_dtype)
    with status("writing samples"):
        texts = generate(config.sample, config.model, params, load_tokenizer(config, workdir), prompts, dtype)
    return [{"prompt": prompt, "text": text} for prompt, text in zip(prompts, texts)]
