"""The verbs `checkpoint list`, `checkpoint verify` and `checkpoint show`: what a run can go on from."""

from __future__ import annotations

import argparse
import json
import time
from datetime import datetime

from rich.markup import escape

from baichuan_jax.cli.summary import console, print_grid
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import UserError
from baichuan_jax.recipe.checkpoints import UNVERIFIED, Checkpoint, find_aside, find_checkpoints
from baichuan_jax.recipe.spec import Grid


def add_step(verb: argparse.ArgumentParser) -> None:
    """Add --step."""
    verb.add_argument("--step", type=int, metavar="N", help="only the checkpoint of this step")


def list_checkpoints(loaded: Loaded, args: argparse.Namespace) -> None:
    """Print what checkpoints there are, and those that were moved aside."""
    found = [(str(step), each) for step, each in find_checkpoints(loaded.config).items()]
    found += [(f"aside: {each.path}", each) for each in find_aside(loaded.config)]
    rows = [(name, f"{each.size / 1e6:,.1f}", _when(each), each.manifest()) for name, each in found]
    print_grid(Grid(("step", "MB", "written", "manifest"), rows))


def verify_checkpoints(loaded: Loaded, args: argparse.Namespace) -> None:
    """Read checkpoints and compare them with their manifests. Raise UserError if one is damaged."""
    bad = []
    for step, checkpoint in find_checkpoints(loaded.config, args.step).items():
        start = time.perf_counter()
        found = checkpoint.check()
        seconds = time.perf_counter() - start
        speed = "" if found == UNVERIFIED else f", {checkpoint.size / 1e9 / seconds:.1f} GB/s"
        size = f"{len(checkpoint.files)} files, {checkpoint.size / 1e6:,.1f} MB{speed}"
        console.print(escape(f"step {step}: {found} ({size})"), soft_wrap=True)
        if found.startswith("damaged"):
            bad.append(str(checkpoint.path))
    if bad:
        raise UserError(f"damaged: {', '.join(bad)}; `train` moves it aside and goes on from the one before")


def show_checkpoint(loaded: Loaded, args: argparse.Namespace) -> None:
    """Print what a checkpoint holds: the newest, or that of --step."""
    step, checkpoint = list(find_checkpoints(loaded.config, args.step).items())[-1]
    about = checkpoint.read("about")
    config = about.pop("config", "")
    about.pop("spikes", None)  # hundreds of numbers
    sizes: dict[str, int] = {}
    for name, size in checkpoint.files.items():
        folder = name.partition("/")[0] if "/" in name else "beside them"
        sizes[folder] = sizes.get(folder, 0) + size
    shown = {
        "path": str(checkpoint.path),
        "written": _when(checkpoint),
        "files": checkpoint.check(),
        "bytes": sizes,
        "loader": checkpoint.read("loader"),
        **about,
    }
    console.print(escape(f"step {step}"))
    for name, value in shown.items():
        console.print(escape(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}"), soft_wrap=True)
    console.print(escape(f"\n{config}".rstrip()), soft_wrap=True)


def _when(checkpoint: Checkpoint) -> str:
    return f"{datetime.fromtimestamp(checkpoint.written):%Y-%m-%d %H:%M:%S}"
