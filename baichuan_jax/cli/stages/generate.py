"""Stage generate: continuations of the config's prompts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.markup import escape

from baichuan_jax.cli.progress import console, status
from baichuan_jax.cli.stages.trained import Trained, load_trained
from baichuan_jax.core.errors import UserError
from baichuan_jax.generate.engine import Engine
from baichuan_jax.generate.generate import Piece, generate, stream
from baichuan_jax.recipe.run_config import RunConfig
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


def show_continuations(
    config: RunConfig, workdir: Path, batches: Iterable[list[str]], specials: bool, as_json: bool
) -> None:
    """Print prompts with their continuations: one alone as it is made, several in order when they are finished.

    specials: whether the written form of a special id in a prompt is that id. as_json: an object on a line for each;
    else a line stands before each of several.
    """
    engine, tokenizer = load_engine(config, workdir)
    for prompts in batches:
        pieces = stream(engine, tokenizer, prompts, config.sample, specials)
        show = _show_json if as_json else _show_one if len(prompts) == 1 else _show_several
        try:
            show(prompts, pieces)
        except UserError as error:
            if isinstance(batches, list):
                raise
            console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)  # the next one typed may do better


def _show_one(prompts: list[str], pieces: Iterator[Piece]) -> None:
    text = prompts[0]
    for piece in pieces:
        sys.stdout.write(text + piece.text)
        sys.stdout.flush()
        text = ""
    sys.stdout.write("\n")


def _show_several(prompts: list[str], pieces: Iterator[Piece]) -> None:
    """Print each below a line with its number, as `head` does with files: a text may have any number of lines."""
    for number, text, _ in _finished(len(prompts), pieces):
        print(f"==> {number + 1} of {len(prompts)} <==\n{prompts[number]}{text}\n", flush=True)


def _show_json(prompts: list[str], pieces: Iterator[Piece]) -> None:
    """Print ASCII: whatever the encoding of the terminal, and wherever its reader ends lines, each is whole."""
    for number, text, done in _finished(len(prompts), pieces):
        print(json.dumps({"prompt": prompts[number], "text": text, "finish_reason": done}), flush=True)


def _finished(count: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Yield each whole continuation, in the order of the prompts."""
    texts, done, shown = [""] * count, [""] * count, 0
    for piece in pieces:
        texts[piece.number] += piece.text
        done[piece.number] = piece.done
        while shown < count and done[shown]:
            yield Piece(shown, texts[shown], done[shown])
            shown += 1


def load_engine(config: RunConfig, workdir: Path) -> tuple[Engine, AnyTokenizer]:
    """Return an engine with the run's newest parameters, and its tokenizer."""
    trained = load_trained(config, workdir)
    return make_engine(config, trained), trained.tokenizer


def make_engine(config: RunConfig, of: Trained) -> Engine:
    """Return an engine, which has a copy of the parameters."""
    return Engine(config.engine, config.model, of.params, of.end_ids, of.exe)
