"""Tokens per second of the train step, beside PyTorch with Hugging Face transformers on the same shape.

Command: make bench-train PEER=PYTHON   (or: python -m experiments.benchmarks.bench_train [CONFIG] [--peer PYTHON]
[--peers eager compile autocast] [--dtypes float32 bfloat16] [--turns N] [--steps N]). On the processor;
bench_train_gpu is the other half. PYTHON has torch and transformers, which the project does not install; "compile" is
`torch.compile`, which needs a C++ compiler, and "autocast" is the same under bfloat16 autocast. All run AdamW with
clipping and float32 parameters on the decoder of a config (the quickstart's) and batches of 16 x 256, a few steps of
each in turn, so that a noisy machine is noisy for all. The first two steps of a turn are not timed: a virtual machine
takes memory back from whoever rests, and to get it again costs as much as a step. Ratios are to the fastest peer. Cost:
three minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.core.pages import use_huge_pages
from baichuan_jax.model.decoder import param_axes, parameter_count
from baichuan_jax.model.execution import Batch
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.trained import make_layout
from baichuan_jax.train.input import place
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import make_execution, make_step
from baichuan_jax.train.throughput import Meter
from experiments.benchmarks.peer import Peer, adamw, llama_config

Timed = Callable[[int], float]
WARM_UP = 2
PEERS = ("eager", "compile", "autocast")
DTYPES = ("float32", "bfloat16")
SHAPE = ("TrainConfig.batch=16", "TrainConfig.length=256", "TrainConfig.logits_mb=32")


def ours(config: RunConfig) -> Timed:
    """Return a function that trains on the batch of a seed, waits for it, and returns the seconds."""
    layout = make_layout(config)
    optimizer = make_optimizer(config.optim, config.train.steps, param_axes(config.model))
    sharded = ShardedState(config.model, optimizer, layout)
    state = sharded.init(config.train.seed)
    exe = make_execution(config.train, config.model, layout)
    train_step = make_step(config.train, config.model, optimizer, sharded, exe)
    shape = (config.train.batch, config.train.length + 1)

    def run(seed: int) -> float:
        nonlocal state
        windows = np.random.default_rng(seed).integers(0, config.model.vocab, shape).astype(np.int32)
        start = time.perf_counter()
        state, _ = train_step(state, place(layout, Batch(windows[:, :-1], windows[:, 1:])))
        jax.block_until_ready(state)
        return time.perf_counter() - start

    return run


PEER = """
import json, sys, time
import numpy as np, torch
from transformers import LlamaConfig, LlamaForCausalLM
model_config, optim, shape, threads, kind = json.loads(sys.argv[1])
torch.set_num_threads(threads)
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(**model_config))
optimizer = torch.optim.AdamW(model.parameters(), optim[0], optim[1:3], optim[3], optim[4], fused=True)
print(sum(p.numel() for p in model.parameters()), flush=True)
def forward(tokens, targets):
    logits = model(tokens).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
if kind != "eager":
    forward = torch.compile(forward)
for line in sys.stdin:
    windows = np.random.default_rng(int(line)).integers(0, model_config["vocab_size"], shape)
    start = time.perf_counter()
    tokens = torch.from_numpy(windows)
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"):
        loss = forward(tokens[:, :-1], tokens[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), optim[5])
    optimizer.step()
    print(time.perf_counter() - start, flush=True)
"""


def peer(config: RunConfig, python: str, kind: str) -> Timed:
    """Return the same for transformers' LLaMA, in a process of its own. kind: of PEERS."""
    shape = [config.train.batch, config.train.length + 1]
    arguments = json.dumps([llama_config(config.model), adamw(config.optim), shape, os.cpu_count(), kind])
    other = Peer(python, PEER, arguments, needs="torch and transformers")
    assert int(other.answer()) == parameter_count(config.model)
    return lambda seed: float(other.ask(seed))


def ratios(seconds: dict[str, list[float]]) -> dict[str, tuple[str, float]]:
    """Return for each of ours the fastest peer, and how many times as fast ours is, step by step, as a median.

    seconds: of each step, by (ours: dtype; peers: kind). float32 is compared with the peers that compute in float32,
    and bfloat16 with all.
    """
    found = {}
    for dtype in set(DTYPES) & set(seconds):
        kinds = [kind for kind in PEERS if kind in seconds and (kind != "autocast" or dtype == "bfloat16")]
        if kinds:
            best = min(kinds, key=lambda kind: float(np.median(seconds[kind])))
            found[dtype] = best, float(np.median(np.divide(seconds[best], seconds[dtype])))
    return found


def main() -> None:
    """Print the median tokens per second of each, and the median ratio to the fastest peer."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    use_huge_pages()
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--peer", metavar="PYTHON", help="an interpreter with torch and transformers")
    arguments.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS, help="which to time (default all)")
    arguments.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES, help="that ours computes in")
    arguments.add_argument("--turns", type=int, default=3, help="turns of each (default 3)")
    arguments.add_argument("--steps", type=int, default=6, help="timed steps of a turn (default 6)")
    arguments.add_argument("--set", action="append", default=[], dest="overrides", metavar="NAME.FIELD=VALUE")
    arguments.add_argument("config", nargs="?", default="configs/runs/quickstart.gin")
    args = arguments.parse_args()
    overrides = (*SHAPE, *args.overrides)
    config = load_config(args.config, overrides)
    tokens = config.train.batch * config.train.length
    exe = make_execution(config.train, config.model, make_layout(config))
    meters = {dtype: Meter(config.model, config.train.length, replace(exe, dtype=jnp.dtype(dtype))) for dtype in DTYPES}
    runners = {
        dtype: ours(load_config(args.config, (*overrides, f"TrainConfig.compute_dtype='{dtype}'")))
        for dtype in args.dtypes
    }
    if args.peer:
        runners |= {kind: peer(config, args.peer, kind) for kind in args.peers}
    seconds = {name: [] for name in runners}
    for _ in range(args.turns):
        for name, run in runners.items():
            elapsed = [run(number) for number in range(WARM_UP + args.steps)]
            seconds[name] += elapsed[WARM_UP:]
    count = args.turns * args.steps
    for peak, source in (meter.peak for meter in meters.values()):
        print(f"peak {peak / 1e9:.0f} GFLOP/s ({source})")
    print(f"{tokens} tokens a step; medians of {count} steps")
    for name, times in seconds.items():
        rate = tokens / float(np.median(times))
        share = meters["bfloat16" if name in ("bfloat16", "autocast") else "float32"].utilisation(rate)
        label = f"{'baichuan_jax' if name in DTYPES else 'PyTorch'} {name}"
        print(f"{label:24}{rate:8.0f} tokens/s  MFU {share['mfu_full']:.1%} full {share['mfu_causal']:.1%} causal")
    for dtype, (best, ratio) in ratios(seconds).items():
        print(f"{dtype} beside the fastest peer, {best}: {ratio:.2f} times as fast, median of {count} steps")
    if not args.peer:
        print("no peer to compare with: --peer PYTHON, of an interpreter with torch and transformers")


if __name__ == "__main__":
    main()
