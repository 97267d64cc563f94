"""The verb `plan`: will it fit, how fast, how long and for how much, on machines that are not here."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from baichuan_jax.cli.progress import terminal_progress
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import require
from baichuan_jax.core.goodput import read_goodput
from baichuan_jax.recipe.planning import plan_length, plan_settings

if TYPE_CHECKING:
    from baichuan_jax.parallel.targets import Target
    from baichuan_jax.plan.train_plan import Plan
    from baichuan_jax.recipe.run_config import RunConfig


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb takes beside a config."""
    verb.add_argument(
        "--target",
        required=True,
        help="v5p:4x4x4, v5e:16x16, v6e:16x16, or a800, h100, h200 as CARDSxHOSTS: h100:8x128",
    )
    verb.add_argument(
        "--rows",
        type=int,
        default=1,
        metavar="N",
        help="sequences of a device at once, or of those that split them (default 1)",
    )
    verb.add_argument("--tune", action="store_true", help="plan tuning: all parameters, or adapters (LoraConfig.rank)")
    default = "(default: DecoderConfig.context, TuneConfig.length with --tune)"
    verb.add_argument("--length", type=int, metavar="N", help=f"tokens of a sequence {default}")
    verb.add_argument("--tokens", type=float, default=1.2e12, metavar="N", help="to train on (default 1.2e12)")
    verb.add_argument("--search", action="store_true", help="find the fastest rows and remat that fit: more compiles")
    faults = verb.add_argument_group("faults", "the best interval of checkpoints, and what it leaves for training")
    faults.add_argument("--mttf", type=float, metavar="HOURS", help="mean time to a fault of all machines together")
    measured = "(default: as this run's training has measured it)"
    faults.add_argument("--save", type=float, metavar="SECONDS", help=f"training stands for a checkpoint {measured}")
    faults.add_argument("--restart", type=float, metavar="SECONDS", help=f"from a fault to the next step {measured}")
    verb.add_argument("--json", action="store_true", help="print one JSON value instead of a page")


def plan(loaded: Loaded, args: argparse.Namespace) -> None:
    """Compiles the train step for the target and prints what it will take."""
    os.environ["JAX_PLATFORMS"] = "cpu"  # nothing is run
    from baichuan_jax.parallel import targets
    from baichuan_jax.plan.train_plan import plan as make_plan
    from baichuan_jax.plan.train_plan import search

    for name in ("rows", "tokens"):
        require(getattr(args, name) > 0, f"--{name}", getattr(args, name), "a positive number")
    config = loaded.config
    times = _times(config, args)
    length = args.length or plan_length(config, args.tune)
    settings = plan_settings(config, args.tune)
    console = Console(highlight=False, soft_wrap=True)
    target = targets.find(args.target)
    with terminal_progress().status(f"compiling for {args.target}"):  # which takes a minute at 7B
        found = make_plan(settings, target, args.rows, length)
    best = None
    if args.search:
        tell = lambda each: None if args.json else console.print(f"  tried {_short(each)}", style="dim")
        best = search(settings, target, found, tell)
    if args.json:
        recommended = best.record() if best else None
        faults = _faults(found, *times) if times and found.fits else None
        bill = _bill(found, target, args.tokens)
        print(json.dumps({**found.record(), **bill, "recommended": recommended, "faults": faults}, indent=1))
    else:
        _print(console, found, target, args.tokens)
        if times and found.fits:
            _print_faults(console, _faults(found, *times))
        if args.search:
            console.print(
                f"recommended   {_short(best) if best else 'nothing fits: take more devices, or a finer mesh'}"
            )


def _times(config: RunConfig, args: argparse.Namespace) -> tuple[float, float, float] | None:
    """Return the seconds to a fault, of a save and of a restart; None without --mttf."""
    if args.mttf is None:
        return None
    save, restart = args.save, args.restart
    if save is None or restart is None:
        measured = read_goodput(Path(config.workdir))
        save, restart = (
            given if given is not None else found
            for given, found in ((save, measured.save), (restart, measured.restart))
        )
    for name, value in (("mttf", args.mttf), ("save", save), ("restart", restart)):
        require(value > 0, f"--{name}", value, "a positive number")
    return 3600 * args.mttf, save, restart


def _faults(plan: Plan, mttf: float, save: float, restart: float) -> dict[str, float]:
    from baichuan_jax.plan.faults import best_interval, expected_goodput

    steps = max(1, round(best_interval(save, mttf) / plan.step))
    interval = steps * plan.step
    goodput = expected_goodput(interval, save, restart, mttf)
    times = {"mttf_seconds": mttf, "save_seconds": save, "restart_seconds": restart, "interval_seconds": interval}
    return {**times, "checkpoint_every": steps, "goodput": goodput}


def _print_faults(console: Console, found: dict[str, float]) -> None:
    given = f"a fault in {found['mttf_seconds'] / 3600:g} h, {found['save_seconds']:.3g} s for a checkpoint, "
    console.print(f"faults        {given}{found['restart_seconds']:.3g} s for a restart:")
    console.print(
        f"              best is TrainConfig.checkpoint_every = {found['checkpoint_every']:,} "
        f"({found['interval_seconds'] / 60:,.1f} minutes), goodput {found['goodput']:.2%}"
    )


def _short(plan: Plan) -> str:
    size = f"{plan.total / 2**30:.1f} of {plan.capacity / 2**30:.1f} GiB"
    speed = f"{plan.tokens_per_second:,.0f} tokens/s, MFU {plan.mfu_full:.1%}" if plan.fits else "does not fit"
    return f"--rows {plan.rows} --set DecoderConfig.remat=\"'{plan.remat}'\": {size}, {speed}"


def _bill(plan: Plan, target: Target, tokens: float) -> dict[str, float | None]:
    if not plan.fits:
        return {"tokens": tokens, "days": None, "dollars": None}
    hours = tokens / plan.tokens_per_second / 3600
    return {"tokens": tokens, "days": hours / 24, "dollars": hours * plan.devices * target.chip.dollars}


def _print(console: Console, plan: Plan, target: Target, tokens: float) -> None:
    from baichuan_jax.plan.train_plan import ASSUMPTIONS

    gib = lambda size: f"{size / 2**30:.2f} GiB"
    mesh = " x ".join(f"{axis} {size}" for axis, size in plan.mesh.items())
    console.print(f"target        {plan.target}: {plan.devices} devices, mesh {mesh}")
    split = plan.mesh["context"]
    place = "a device" if split == 1 else f"{split} devices that split their tokens"
    console.print(
        f"step          {plan.batch} sequences of {plan.length}, {plan.rows} at once on {place}; "
        f"attention {plan.attention}, remat {plan.remat}"
    )
    verdict = "fits" if plan.fits else f"does NOT fit, by {gib(plan.total - plan.capacity)}"
    console.print(f"memory        {gib(plan.total)} of {gib(plan.capacity)} a device: {verdict}")
    if plan.arguments:
        parts = f"parameters and optimizer {gib(plan.arguments)}, gradients and activations {gib(plan.temporaries)}"
        console.print(f"              {parts}")
    if not plan.fits:
        return
    console.print(
        f"time          {plan.step:.3f} s a step: products {plan.compute:.3f}, optimizer {plan.optimizer:.3f}, exposed "
        f"communication {plan.exposed:.3f}"
    )
    rate = plan.tokens_per_second
    console.print(f"speed         {rate:,.0f} tokens/s, {rate / plan.devices:,.0f} a device")
    console.print(f"              MFU {plan.mfu_full:.1%} full, {plan.mfu_causal:.1%} causal; HFU {plan.hfu:.1%}")
    record = plan.record()
    for kind, sent in sorted(record["sent_bytes"].items()):
        console.print(f"sent          {kind:20}{gib(sent)} a device and step")
    console.print(f"              {record['async_share']:.1%} of these bytes while other work is done")
    if plan.buckets is not None:
        console.print(f"buckets       {plan.buckets.threshold / 2**20:.0f} MiB: {plan.buckets.reason}")
    bill = _bill(plan, target, tokens)
    console.print(f"{tokens:.3g} tokens   {bill['days']:,.1f} days, ${bill['dollars']:,.0f}")
    console.print(f"assumed       {ASSUMPTIONS}", style="dim")
