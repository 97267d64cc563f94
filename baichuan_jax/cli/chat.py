"""`baichuan-jax generate CONFIG --chat`: answers to questions, and a conversation at a terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from baichuan_jax.cli.generate import STDIN, prompts_of, typed_lines
from baichuan_jax.cli.progress import console
from baichuan_jax.core.errors import UserError, require
from baichuan_jax.recipe.run import Run

if TYPE_CHECKING:
    from baichuan_jax.generate.generate import Piece

Messages = list[dict[str, str]]
ANEW = "/new"


def show_answers(run: Run, args: argparse.Namespace) -> None:
    """Print the answer to each prompt, as it is made; at a terminal, answers to what is typed, with the history."""
    system: Messages = [] if args.system is None else [{"role": "system", "content": args.system}]
    run.pipeline.check_model()
    _ = run.chat_template.end_ids  # a template that cannot be used is told before the model is loaded
    run.load_engine()
    if args.prompt == [STDIN] and sys.stdin.isatty():
        require(not args.json, "--json", True, "with --prompt TEXT, --file or a pipe")
        return _converse(run, system)
    for prompts in prompts_of(args):
        for number, prompt in enumerate(prompts, 1):
            if len(prompts) > 1 and not args.json:
                print(f"==> {number} of {len(prompts)} <==\n{prompt}")
            pieces = run.stream_chat([*system, {"role": "user", "content": prompt}])
            if args.json:
                print(_record(prompt, list(pieces)), flush=True)
            else:
                _show(pieces)


def _converse(run: Run, system: Messages) -> None:
    """Answer each line with what was said before it in mind. A line that cannot be answered is as if never typed."""
    print(f"A message on each line; {ANEW} begins a new conversation, Ctrl-D ends.", file=sys.stderr)
    said = list(system)
    for text in typed_lines():
        if text == ANEW:
            said = list(system)
            continue
        asked = [*said, {"role": "user", "content": text}]
        try:
            answer = _show(run.stream_chat(asked))
        except UserError as error:
            console.print(f"[red]{escape(str(error))}[/] ({ANEW} begins a new conversation)", soft_wrap=True)
            continue
        said = [*asked, {"role": "assistant", "content": answer}]


def _show(pieces: Iterator[Piece]) -> str:
    """Print an answer as it is made; return it."""
    parts = []
    for piece in pieces:
        sys.stdout.write(piece.text)
        sys.stdout.flush()
        parts.append(piece.text)
    sys.stdout.write("\n")
    return "".join(parts)


def _record(prompt: str, pieces: list[Piece]) -> str:
    text = "".join(piece.text for piece in pieces)
    return json.dumps({"prompt": prompt, "text": text, "finish_reason": pieces[-1].done})
