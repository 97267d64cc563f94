"""The verbs `convert import` and `convert export`: published checkpoints to ours, and ours to theirs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from baichuan_jax.cli.progress import terminal_progress
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import require
from baichuan_jax.recipe.stages.tokenizer import tokenizer_place
from baichuan_jax.recipe.workdir import CONFIG

if TYPE_CHECKING:
    from baichuan_jax.recipe.hugging_face import Converted

LAYOUTS, DTYPES = ("baichuan", "llama"), ("float32", "bfloat16")
console = Console(highlight=False)


def add_import_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `convert import` takes."""
    verb.add_argument("source", type=Path, metavar="SOURCE", help="a directory with config.json and the weights")
    verb.add_argument("out", type=Path, metavar="OUT", help="the directory to make; OUT/config.gin is its config")
    _add_verify(verb)


def add_export_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `convert export` takes beside a config."""
    verb.add_argument("out", type=Path, metavar="OUT", help="the directory to make")
    verb.add_argument("--layout", choices=LAYOUTS, required=True, help="llama is what stock transformers loads")
    verb.add_argument(
        "--adapter",
        action="store_true",
        help="write the run's adapters alone, as PEFT has them, in place of merging them",
    )
    verb.add_argument("--dtype", choices=DTYPES, help="of the tensors (default: as they are stored)")
    verb.add_argument("--file-gb", type=float, default=5.0, metavar="GB", help="of tensors in one file (default 5)")
    _add_verify(verb)


def _add_verify(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--verify", action="store_true", help="compare logits of both sides on a probe")


def import_weights(args: argparse.Namespace) -> None:
    """Turn a published checkpoint into one of ours, with a config that binds its shape."""
    from baichuan_jax.recipe.hugging_face import import_checkpoint  # brings numpy and SentencePiece in

    converted = import_checkpoint(args.source, args.out, terminal_progress())
    _show("import", converted.result, converted.skipped)
    console.print(f"its config is {args.out / CONFIG}", soft_wrap=True)
    if not converted.has_tokenizer:
        console.print(
            f"there is no tokenizer in {args.source}: name one before it generates, serves or is evaluated, "
            "TokenizerConfig.file in its config",
            soft_wrap=True,
        )
    if args.verify:
        _verify(args.source, converted)


def export_weights(loaded: Loaded, args: argparse.Namespace) -> None:
    """Write the newest parameters of a run, or those it starts from, as a published checkpoint."""
    from baichuan_jax.recipe.hugging_face import export_checkpoint
    from baichuan_jax.tokenizer.tokenizer_files import tokenizer_file

    if args.adapter:
        return _export_adapter(loaded, args)
    require(args.file_gb > 0, "--file-gb", args.file_gb, "a size above 0")
    file_bytes = int(args.file_gb * 1e9)
    converted = export_checkpoint(loaded.config, args.out, args.layout, terminal_progress(), args.dtype, file_bytes)
    if not (converted.has_tokenizer or converted.skipped):
        file = tokenizer_file(tokenizer_place(loaded.config))
        console.print(f"there is no tokenizer at {file}: the export has none", soft_wrap=True)
    _show("export", converted.result, converted.skipped)
    if args.verify:
        _verify(args.out, converted)


def _export_adapter(loaded: Loaded, args: argparse.Namespace) -> None:
    from baichuan_jax.recipe.hugging_face import export_adapter

    advice = "llama with --adapter, whose base is the run's in that layout: there W_pack is three weights"
    require(args.layout == "llama", "--layout", args.layout, advice)
    require(not args.verify, "--verify", args.verify, "none with --adapter: weights have logits, an adapter has none")
    _show("export", *export_adapter(loaded.config, args.out, args.dtype))


def _show(name: str, result: dict[str, Any], skipped: bool) -> None:
    if skipped:
        console.print(f"[green]✓[/] {name}: done before, skipped", soft_wrap=True)
        return
    console.print(
        f"[green]✓[/] {name}: {result['parameters']:,} parameters, {result['bytes'] / 1e6:,.1f} MB of "
        f"{', '.join(result['dtypes'])}, layout {result['layout']} ({result['seconds']:.1f} s)",
        soft_wrap=True,
    )


def _verify(theirs: Path, converted: Converted) -> None:
    from baichuan_jax.convert.verify import verify

    with terminal_progress().status("comparing logits"):
        difference = verify(theirs, converted.params, converted.model_cfg, converted.addition)
    console.print(f"[green]✓[/] logits of both on a probe differ by {difference:.1e} of the largest", soft_wrap=True)
