"""The verbs `config list`, `config show` and `config copy`: configs that are shipped with the package."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from rich.console import Console

from baichuan_jax.config.files import find_shipped, purpose, shipped_configs
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.shipped import SHIPPED

console = Console(highlight=False, markup=False)
WORKDIR = re.compile(r"^RunConfig\.workdir = .*$", re.MULTILINE)


def add_list_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `config list` takes: nothing."""


def add_show_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `config show` takes."""
    verb.add_argument("name", metavar="NAME", help="one of `baichuan-jax config list`")


def add_copy_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `config copy` takes."""
    add_show_arguments(verb)
    verb.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the copy (default: its path as shipped)")


def list_configs(args: argparse.Namespace) -> None:
    """Print the name and the first sentence of every shipped config."""
    found = shipped_configs()
    width = max(map(len, found)) + 2
    for name, path in found.items():
        console.print(f"{name:{width}}{purpose(path)}", soft_wrap=True)


def show_config(args: argparse.Namespace) -> None:
    """Print the text of a shipped config."""
    print(find_shipped(args.name).read_text(encoding="utf-8"), end="")


def copy_config(args: argparse.Namespace) -> None:
    """Copy a shipped config; under its path as shipped, it is found in place of the shipped one.

    The copy of a run under another name has a workdir of that name, so that it does not go on in that of the original.
    """
    source = find_shipped(args.name)
    target = args.file or source.relative_to(SHIPPED)
    if target.exists():
        raise UserError(f"{target} exists: name another file, baichuan-jax config copy {args.name} FILE")
    text, said = source.read_text(encoding="utf-8"), ""
    if args.file and WORKDIR.search(text):
        text = text.replace(f"# Command: baichuan-jax run {args.name}\n", f"# Command: baichuan-jax run {target}\n")
        text = WORKDIR.sub(lambda _: f"RunConfig.workdir = {f'runs/{target.stem}'!r}", text)
        said = f": a run in runs/{target.stem}"
    elif not args.file and source.suffix == ".gin":
        said = ": replaces the shipped file in what is run from this folder"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        shutil.copymode(source, target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}") from error
    console.print(f"{target}{said}", soft_wrap=True)
