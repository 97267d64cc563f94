"""Where the prompts of `baichuan-jax generate` come from, and how continuations are printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from baichuan_jax.cli.progress import console
from baichuan_jax.core.errors import UserError, require
from baichuan_jax.recipe.run import Run

if TYPE_CHECKING:
    from baichuan_jax.generate.generate import Piece

STDIN = "-"


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `generate` takes beside a config."""
    source = verb.add_mutually_exclusive_group()
    source.add_argument(
        "--prompt",
        action="append",
        metavar="TEXT",
        help="continue this text and print it; may be repeated; - is standard input: all of it, or what you type",
    )
    source.add_argument("--file", type=Path, metavar="FILE", help="continue every line of a file")
    verb.add_argument(
        "--json", action="store_true", help="print a JSON object on a line for each: prompt, text and finish_reason"
    )
    verb.add_argument(
        "--chat",
        action="store_true",
        help="answer each prompt as a question by the chat template (ChatConfig.template); without prompts, a "
        "conversation about what you type, or an answer to standard input",
    )
    verb.add_argument("--system", metavar="TEXT", help="system message before each question of --chat")
    verb.add_argument(
        "--symbols",
        action="store_true",
        help="read special symbols in the prompts, such as <reserved_106> or </s>, as their ids, not as text",
    )


def check(args: argparse.Namespace) -> None:
    """Raise UserError on options that are for prompts if there are none."""
    require(args.chat or args.system is None, "--system", args.system, "with --chat")
    require(not (args.chat and args.symbols), "--symbols", True, "without --chat: marks in a message stay text")
    if args.chat and not (args.prompt or args.file):
        args.prompt = [STDIN]
    if not (args.prompt or args.file):
        require(not args.symbols, "--symbols", True, "with --prompt or --file")
        require(not args.json, "--json", True, "with --prompt or --file")


def prompts_of(args: argparse.Namespace) -> Iterable[list[str]]:
    """Return batches of prompts; at a terminal one is read only when the one before has been continued.

    Raise UserError on a file that cannot be read, or in which there is nothing.
    """
    if args.file:
        return [_lines(args.file)]
    if args.prompt != [STDIN]:
        return [args.prompt]
    return _typed() if sys.stdin.isatty() else [[_piped()]]


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # of what else ends lines, some is text
    except OSError as error:
        raise UserError(f"--file {path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--file {path}: not UTF-8 at byte {error.start}; convert it first") from error
    if not (prompts := [line for line in lines if line.strip()]):
        raise UserError(f"--file {path}: no prompt in it; write one on each line")
    return prompts


def _piped() -> str:
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UserError(f"standard input: not UTF-8 at byte {error.start}; convert it first") from error
    text = text.removesuffix("\n")
    if not text:
        raise UserError("standard input is empty; pipe a text into --prompt -, or give --prompt TEXT")
    return text


def _typed() -> Iterator[list[str]]:
    """Yield each line that is typed until Ctrl-D."""
    print("A text to continue on each line; Ctrl-D ends.", file=sys.stderr)
    for text in typed_lines():
        yield [text]


def typed_lines() -> Iterator[str]:
    """Yield lines that are typed until Ctrl-D, without empty ones."""
    while True:
        try:
            text = input("> ")
        except EOFError:
            print(file=sys.stderr)
            return
        if text:
            yield text


def show_continuations(run: Run, batches: Iterable[list[str]], symbols: bool, as_json: bool) -> None:
    """Print prompts with their continuations: one alone as it is made, several in order when they are finished.

    symbols: whether the written form of a special id in a prompt is that id. as_json: an object on a line for each;
    else a line stands before each of several.
    """
    run.load_engine()
    for prompts in batches:
        pieces = run.stream(prompts, symbols=symbols)
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


def _finished(count: int, pieces: Iterator[Piece]) -> Iterator[tuple[int, str, str]]:
    """Yield the number, the text and the end of each whole continuation, in the order of the prompts."""
    texts, done, shown = [""] * count, [""] * count, 0
    for piece in pieces:
        texts[piece.number] += piece.text
        done[piece.number] = piece.done
        while shown < count and done[shown]:
            yield shown, texts[shown], done[shown]
            shown += 1
