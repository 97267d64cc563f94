"""What tuning gains on held-out responses, over seeds, and what packing gains in speed.

Command: make bench-tune SOURCES="{'zh': 'alpaca_zh_demo.json', 'en': 'alpaca_en_demo.json'}"   (or: python -m
experiments.benchmarks.bench_tune SOURCES [CONFIG] [--seeds N]). Tunes the base of a config (the quickstart's model)
with adapters and in full on each seed, which is that of the order of the conversations and of the adapters. Then it
times steps of 16 x 512 that are packed, and such with one conversation in a row, in turn. Cost: 15 minutes, two cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from baichuan_jax.lab.paired import compare_pairs
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.stages.tune import TuneResult
from baichuan_jax.recipe.trained import load_base, make_layout
from baichuan_jax.train.adapt import adapt
from baichuan_jax.train.input import place
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import make_execution, make_step
from baichuan_jax.tune.batches import SampleBatches
from baichuan_jax.tune.prepare import prepare

LENGTH, ROUNDS, STEPS = 512, 5, 4
FULL_LR = 1e-3  # a tenth of the adapters'


def tuned(config: RunConfig, seed: int, full: bool, scratch: Path) -> TuneResult:
    """Return the result of tuning the base of a config with a seed."""
    cfg = replace(config.tune, seed=seed, **({"peak_lr": FULL_LR} if full else {}))
    lora = replace(config.lora, rank=0) if full else config.lora
    workdir = scratch / f"{'full' if full else 'lora'}-{seed}"
    return Run(replace(config, workdir=str(workdir), tune=cfg, lora=lora)).build("tune")


def print_losses(config: RunConfig, seeds: int, scratch: Path) -> None:
    """Tune on every seed; print the held-out response loss before and after, and the change with its interval."""
    for full in (False, True):
        results = [tuned(config, seed, full, scratch) for seed in range(seeds)]
        before, after = (
            np.array([statistics.mean(getattr(result, name).values()) for result in results])
            for name in ("held_out_before", "held_out")
        )
        _, (low, high), _, verdict = compare_pairs(100 * (after / before - 1))
        change, kind = 100 * np.mean(after / before - 1), "all parameters" if full else f"rank {config.lora.rank}"
        print(
            f"{kind}: {before.mean():.4f} -> {after.mean():.4f} nats per held-out response token over {seeds} seeds, "
            f"{change:+.2f} % (95 % t interval {low:+.2f} to {high:+.2f}): {verdict}",
            flush=True,
        )


def rates(config: RunConfig) -> dict[str, float]:
    """Return the median of tokens of prompts and responses per second, packed and with one conversation a row."""
    run, cfg = Run(config), replace(config.tune, length=LENGTH)
    samples = prepare(config.instruction, run.chat_template, LENGTH).samples
    steppers = {
        name: _stepper(
            config, cfg.train(config.train, ""), SampleBatches(samples, cfg.batch, LENGTH, 0, packing=packed)
        )
        for name, packed in (("packed", True), ("one a row", False))
    }
    found: dict[str, list[float]] = {name: [] for name in steppers}
    for turn in range(ROUNDS + 1):
        for name, stepper in steppers.items():
            start, tokens = time.perf_counter(), sum(next(stepper) for _ in range(STEPS))
            if turn:  # the first compiles
                found[name].append(tokens / (time.perf_counter() - start))
    return {name: statistics.median(each) for name, each in found.items()}


def _stepper(config: RunConfig, train_cfg, batches: SampleBatches) -> Iterator[int]:
    """Take a step each time, and yield how many of its positions are not padding."""
    layout = make_layout(config)
    exe = make_execution(train_cfg, config.model, layout)
    adaptation = adapt(config.lora, config.model, load_base(config, layout), exe.dtype)
    optimizer = make_optimizer(config.tune.optim(), train_cfg.steps, adaptation.axes)
    sharded = ShardedState(config.model, optimizer, layout, adaptation)
    step: Callable = make_step(train_cfg, config.model, optimizer, sharded, exe)
    state, number = sharded.init(0), 0
    while True:
        rows = batches[number]
        state, values = step(state, place(layout, rows), adaptation.frozen)
        jax.block_until_ready(values)
        yield int((rows.segments > 0).sum())
        number += 1


def main() -> None:
    """Print the losses, and the speeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", help="InstructionConfig.sources")
    parser.add_argument("config", nargs="?", default="configs/runs/tune.gin")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    config = load_config(args.config, [f"InstructionConfig.sources={args.sources}"])
    Run(config).build("train")
    config = replace(config, base=config.workdir)
    with tempfile.TemporaryDirectory() as directory:
        print_losses(config, args.seeds, Path(directory))
    found = rates(config)
    print(", ".join(f"{name}: {rate:,.0f} tokens/s" for name, rate in found.items()), end="; ")
    print(f"packed is {found['packed'] / found['one a row']:.2f} x as fast")


if __name__ == "__main__":
    main()
