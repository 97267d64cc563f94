"""The train step of 7 billion parameters on one GPU, in bfloat16, beside PyTorch with Hugging Face transformers.

Command: make bench-train PEER=PYTHON   (or: python -m experiments.benchmarks.bench_train_gpu [CONFIG] [--peer PYTHON]
[--layers N [N]] [--steps N] [--set NAME.FIELD=VALUE]). Without a GPU it says so and does nothing. Both keep parameters
and AdamW's moments in float32, multiply in bfloat16, and clip. The peer has its fused AdamW, flash attention, and
torch.compile of every layer and of the loss; it is timed with and without recomputing blocks, with one row where as
many as ours do not fit. Where the whole depth does not fit into the card, two smaller ones are timed, and the line
through them is drawn to the whole. Cost: five minutes on an H200.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from baichuan_jax.model.decoder import parameter_count
from baichuan_jax.model.flops import flops_per_token
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.train.throughput import peak_flops, peak_memory
from experiments.benchmarks.bench_train import ours as step_of
from experiments.benchmarks.peer import Peer, adamw, llama_config

SHAPE = ("TrainConfig.batch=2", "TrainConfig.length=4096", "DecoderConfig.remat='products'")
MEMORY_FRACTION = "0.96"  # of the card's, that JAX takes at once; its default is three quarters
SHALLOW = (4, 8)  # layers, where all are too many
STATE = 16  # bytes that a parameter takes: itself, its gradient and two moments
WARM = 3  # steps that compile and warm up


class Timing(NamedTuple):
    """A step of `layers` on `rows` sequences. seconds: the median. memory: the most in use, in bytes."""

    name: str
    layers: int
    rows: int
    seconds: float
    memory: float


PEER = """
import gc, json, sys, time
import torch
from transformers import LlamaConfig, LlamaForCausalLM
shape, optim, length, steps, warm = json.loads(sys.argv[1])
torch.manual_seed(0)
torch.set_float32_matmul_precision("high")

def measure(depth, rows, recomputed):
    config = LlamaConfig(**shape | {"num_hidden_layers": depth}, attn_implementation="sdpa", use_cache=False)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config)
    model.train()
    if recomputed:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    for layer in model.model.layers:
        layer.compile()
    optimizer = torch.optim.AdamW(model.parameters(), optim[0], optim[1:3], optim[3], optim[4], fused=True)

    @torch.compile
    def loss_of(hidden, targets):
        logits = model.lm_head(hidden).float()
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    seconds = []
    for _ in range(warm + steps):
        windows = torch.randint(shape["vocab_size"], (rows, length + 1), device="cuda")
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            embedded = model.model.embed_tokens(windows[:, :-1]).bfloat16()  # as ours; float32 otherwise, and slower
            loss = loss_of(model.model(inputs_embeds=embedded).last_hidden_state, windows[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), optim[5], foreach=True)
        optimizer.step()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    memory = torch.cuda.max_memory_allocated()
    return sum(p.numel() for p in model.parameters()), sorted(seconds[warm:])[steps // 2], memory

print(torch.__version__, flush=True)
for line in sys.stdin:
    torch._dynamo.reset()  # and with what was compiled, the models that it holds
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    try:
        print(json.dumps(measure(*json.loads(line))), flush=True)
    except torch.OutOfMemoryError:
        print("null", flush=True)
"""


def peer(config: RunConfig, python: str, depths: list[int], steps: int) -> Iterator[Timing]:
    """Yield what transformers' LLaMA takes, in a process of its own that ends before ours takes the card."""
    arguments = json.dumps([llama_config(config.model), adamw(config.optim), config.train.length, steps, WARM])
    with Peer(python, PEER, arguments, needs="torch, transformers and a GPU") as other:
        version = other.answer().strip()
        for recomputed, how in ((False, "everything kept"), (True, "blocks recomputed")):
            for rows in sorted({config.train.batch, 1}, reverse=True):
                name = f"transformers, torch {version}, {how}"
                answers = [json.loads(other.ask(json.dumps([depth, rows, recomputed]))) for depth in depths]
                if None in answers:
                    print(f"{name}, {rows} rows: out of memory", flush=True)
                    continue
                for depth, (parameters, seconds, memory) in zip(depths, answers):
                    assert parameters == parameter_count(replace(config.model, layers=depth))
                    yield Timing(name, depth, rows, seconds, memory)
                break


def ours(config: RunConfig, depths: list[int], steps: int) -> Iterator[Timing]:
    """Yield what our step takes, depth by depth."""
    name = f"baichuan_jax, jax {jax.__version__}, remat {config.model.remat}"
    for depth in depths:
        run = step_of(replace(config, model=replace(config.model, layers=depth)))
        seconds = [run(seed) for seed in range(steps + WARM)][WARM:]
        memory = peak_memory(jax.local_devices())["peak_memory_bytes"]
        yield Timing(name, depth, config.train.batch, float(np.median(seconds)), memory)
        del run  # and with it the state, before the next


def whole(timings: list[Timing], layers: int) -> list[Timing]:
    """Return steps of all layers: on the lines through those of two depths."""
    found = []
    for a, b in zip(timings[::2], timings[1::2]):
        more = (layers - b.layers) / (b.layers - a.layers)
        seconds, memory = (high + more * (high - low) for low, high in ((a.seconds, b.seconds), (a.memory, b.memory)))
        found.append(Timing(f"{b.name}: extrapolated", layers, b.rows, seconds, memory))
    return found


def tell(each: Timing, config: RunConfig) -> None:
    """Print two lines of the table."""
    model_cfg, length = replace(config.model, layers=each.layers), config.train.length
    rate = each.rows * length / each.seconds
    full, causal = (rate * flops_per_token(model_cfg, length, causal) for causal in (False, True))
    peak = peak_flops(jax.local_devices()[:1])[0]
    print(f"{each.name}: {each.layers} layers, {each.rows} rows, {each.memory / 2**30:.1f} GiB")
    print(
        f"    {each.seconds * 1e3:.1f} ms, {rate:,.0f} tokens/s, {full / 1e12:.0f} TFLOP/s full {causal / 1e12:.0f} "
        f"causal, MFU {full / peak:.1%} full {causal / peak:.1%} causal",
        flush=True,
    )


def first_device() -> tuple[str, int]:
    """Return (its platform, its bytes), seen by a process that ends, and so leaves the card free."""
    look = "import jax; d = jax.devices()[0]; print(d.platform, (d.memory_stats() or {}).get('bytes_limit', 0))"
    seen = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.split()
    return seen[-2], int(seen[-1])


def main() -> None:
    """Print time, speed and memory of each, and of the whole depth where that was not timed."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", MEMORY_FRACTION)
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--peer", metavar="PYTHON", help="an interpreter with torch and transformers")
    arguments.add_argument("--layers", type=int, nargs="+", metavar="N", help="depths to time (default: what fits)")
    arguments.add_argument("--steps", type=int, default=10, help="timed steps of each (default 10)")
    arguments.add_argument("--set", action="append", default=[], dest="overrides", metavar="NAME.FIELD=VALUE")
    arguments.add_argument("config", nargs="?", default="configs/model/baichuan_7b.gin")
    args = arguments.parse_args()
    platform, memory = first_device()
    if platform != "gpu":
        print(f"no GPU here but a {platform}: not run")
        return
    config = load_config(args.config, (*SHAPE, *args.overrides))
    layers = config.model.layers
    fits = STATE * parameter_count(config.model) < 0.9 * memory
    depths = args.layers or ([layers] if fits else list(SHALLOW))
    timings = []
    if args.peer:
        timings += peer(config, args.peer, depths, args.steps)
    timings += ours(config, depths, args.steps)
    print(f"{jax.local_devices()[0].device_kind}, peak {peak_flops(jax.local_devices()[:1])[0] / 1e12:.0f} TFLOP/s")
    for each in [*timings, *(whole(timings, layers) if len(depths) == 2 else [])]:
        tell(each, config)


if __name__ == "__main__":
    main()
