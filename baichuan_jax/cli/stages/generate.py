"""Stage generate: continuations of the config's prompts."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from baichuan_jax.cli.progress import console, status
from baichuan_jax.cli.run_config import RunConfig
from baichuan_jax.cli.stages.trained import Trained, load_trained
from baichuan_jax.core.errors import UserError
from baichuan_jax.generate.engine import Engine
from baichuan_jax.generate.generate import generate, stream
from baichuan_jax.tokenizer.interface import AnyTokenizer


def build(config: RunConfig, workdir: Path, directory: Path) -> dict:
    """Continues every prompt of the config."""
    prompts = config.sample.prompts
    if not prompts:
        return {"samples": []}
    engine, tokenizer = load_engine(config, workdir)
    with status("writing samples"):
        texts = generate(engine, tokenizer, prompts, config.sample)
    return {"samples": [{"prompt": prompt, "text": text} for prompt, text in zip(prompts, texts)]}


def show_continuations(config: RunConfig, workdir: Path, batches: Iterable[list[str]], specials: bool) -> None:
    """Prints prompts with their continuations: one alone as it is made, several in order when they are finished.

    specials: whether the written form of a special id in a prompt is that id.
    """
    engine, tokenizer = load_engine(config, workdir)
    for prompts in batches:
        try:
            _show(config, engine, tokenizer, prompts, specials)
        except UserError as error:
            if isinstance(batches, list):
                raise
            console.print(f"[red]{error}[/]", soft_wrap=True)  # the next one typed may do better


def _show(config: RunConfig, engine: Engine, tokenizer: AnyTokenizer, prompts: list[str], specials: bool) -> None:
    texts, done, shown = list(prompts), set(), 0
    for piece in stream(engine, tokenizer, prompts, config.sample, specials):
        texts[piece.number] += piece.text
        if piece.done:
            done.add(piece.number)
        if len(prompts) == 1:
            sys.stdout.write(texts[0])
            texts[0] = ""
        while shown in done:
            sys.stdout.write(f"{texts[shown]}\n")
            shown += 1
        sys.stdout.flush()


def load_engine(config: RunConfig, workdir: Path) -> tuple[Engine, AnyTokenizer]:
    """Returns an engine with the run's newest parameters, and its tokenizer."""
    trained = load_trained(config, workdir)
    return make_engine(config, trained), trained.tokenizer


def make_engine(config: RunConfig, of: Trained) -> Engine:
    """Returns an engine, which has a copy of the parameters."""
    return Engine(config.engine, config.model, of.params, of.ends, of.layout, of.dtype)
