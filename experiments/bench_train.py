"""Tokens per second of the train step, beside PyTorch with Hugging Face transformers on the same shape.

Command: make bench   (or: python -m experiments.bench_train [CONFIG] [--steps N]). The peer needs torch and
transformers, which the project does not install. Both run float32 AdamW with clipping on the decoder of a config (the
quickstart's), in turn, step by step, so that a noisy machine is noisy for both. Cost: two minutes on two cores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import jax
import numpy as np

from baichuan_jax.cli.config import load
from baichuan_jax.cli.run_config import RunConfig
from baichuan_jax.cli.stages.trained import make_layout
from baichuan_jax.model.decoder import param_axes, parameter_count
from baichuan_jax.train.input import place
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.state import init_state
from baichuan_jax.train.step import make_step
from baichuan_jax.train.throughput import Meter

Step = Callable[[np.ndarray], None]


def ours(config: RunConfig) -> Step:
    """Returns a function that trains on one batch and waits for it."""
    layout = make_layout(config)
    optimizer = make_optimizer(config.optim, config.train.steps, param_axes(config.model))
    state = init_state(config.model, optimizer, layout, config.train.seed)
    train_step = make_step(config.train, config.model, optimizer, layout)

    def step(windows: np.ndarray) -> None:
        nonlocal state
        state, _ = train_step(state, place(layout, windows))
        jax.block_until_ready(state)

    return step


def peer(config: RunConfig) -> Step | None:
    """Returns the same for transformers' LLaMA, or None where it is not installed."""
    try:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError:
        return None
    cfg, optim = config.model, config.optim
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=cfg.vocab,
            hidden_size=cfg.hidden,
            intermediate_size=cfg.inner,
            num_hidden_layers=cfg.layers,
            num_attention_heads=cfg.heads,
            head_dim=cfg.head_dim,
            max_position_embeddings=cfg.context,
            tie_word_embeddings=False,
        )
    )
    assert sum(p.numel() for p in model.parameters()) == parameter_count(cfg)
    optimizer = torch.optim.AdamW(
        model.parameters(), optim.peak_lr, (optim.b1, optim.b2), optim.eps, optim.weight_decay
    )

    def step(windows: np.ndarray) -> None:
        tokens = torch.from_numpy(windows).long()
        logits = model(tokens[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), optim.clip)
        optimizer.step()

    return step


def timed(step: Step, windows: np.ndarray) -> float:
    """Returns the seconds of one step."""
    start = time.perf_counter()
    step(windows)
    return time.perf_counter() - start


def main() -> None:
    """Prints the median tokens per second of each, and the median of their ratios, step by step."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--steps", type=int, default=20, help="timed steps of each (default 20)")
    arguments.add_argument("config", nargs="?", default="configs/runs/quickstart.gin")
    steps = (parsed := arguments.parse_args()).steps
    config = load(parsed.config, (), RunConfig).config
    shape = (config.train.batch, config.train.length + 1)
    tokens = config.train.batch * config.train.length
    rng = np.random.default_rng(0)
    meter = Meter(config.model, config.train.length, jax.devices())
    runners = {"baichuan_jax": ours(config), "transformers (PyTorch)": peer(config)}
    seconds = {name: [] for name, step in runners.items() if step}
    for number in range(steps + 2):
        windows = rng.integers(0, config.model.vocab, shape).astype(np.int32)
        for name in seconds:
            elapsed = timed(runners[name], windows)
            if number >= 2:  # the first two compile and warm up
                seconds[name].append(elapsed)
    print(f"peak {meter.peak / 1e9:.0f} GFLOP/s ({meter.peak_source}); {tokens} tokens a step, {steps} steps each")
    for name, times in seconds.items():
        rate = tokens / float(np.median(times))
        share = meter.mfu(rate)
        print(f"{name:24}{rate:8.0f} tokens/s  MFU {share['mfu_full']:.1%} full {share['mfu_causal']:.1%} causal")
    if len(seconds) == 2:
        a, b = seconds.values()
        print(f"ratio of speeds, step by step: median {float(np.median(np.divide(b, a))):.2f}")
    else:
        print("the peer is not installed: pip install torch transformers")


if __name__ == "__main__":
    main()
