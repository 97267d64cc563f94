"""Memory and time of sparse attention against the length of the sequence, forward and backward, beside full attention.

Command: python -m experiments.benchmarks.bench_attention [--longest T]   Cost: two minutes on two cores.

Memory is what the compiled program allocates beside its arguments and results. Time is the median of a few runs; where
full attention would need more memory than --memory, it is compiled and not run.
"""

from __future__ import annotations

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.model.attention.patterns import PATTERNS, pairs
from baichuan_jax.model.attention.xla import Scores
from baichuan_jax.model.config import AttentionConfig

HEADS, HEAD_DIM = 4, 64
SHORTEST = 2048


def config(pattern: str, window: int, summary: int) -> AttentionConfig:
    """Return the settings that make one layer of a pattern."""
    if pattern == "full":
        return AttentionConfig()
    return AttentionConfig(pattern=(pattern,), window=window, summary=summary if pattern == "fixed" else 0)


def measure(pattern: str, length: int, cfg: AttentionConfig, memory: float) -> tuple[float, float | None]:
    """Return (MB allocated, seconds or None if that is more than `memory` GB) of the loss and its gradients."""
    q, k, v = (jax.random.normal(jax.random.key(i), (1, length, 1, (HEADS, 1, 1)[i], HEAD_DIM)) for i in range(3))
    k, v = k[:, :, :, 0], v[:, :, :, 0]
    attend = lambda q, k, v: jnp.sum(PATTERNS[pattern].attend(q, k, v, cfg, Scores(0.0, None), None) ** 2)
    program = jax.jit(jax.value_and_grad(attend, (0, 1, 2))).lower(q, k, v).compile()
    megabytes = program.memory_analysis().temp_size_in_bytes / 1e6
    if megabytes > 1000 * memory:
        return megabytes, None
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        jax.block_until_ready(program(q, k, v))
        seconds.append(time.perf_counter() - start)
    return megabytes, float(np.median(seconds[1:]))


def main() -> None:
    """Print a line for each pattern and length."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--longest", type=int, default=32_768, help="tokens (default 32768)")
    arguments.add_argument("--window", type=int, default=256, help="of the sparse patterns, in tokens (default 256)")
    arguments.add_argument("--summary", type=int, default=8, help="of the pattern 'fixed', in tokens (default 8)")
    arguments.add_argument(
        "--memory", type=float, default=4, help="GB that a program may allocate to be run (default 4)"
    )
    args = arguments.parse_args()
    print(f"{HEADS} heads of {HEAD_DIM}, one of keys and values, window {args.window}, summary {args.summary}")
    print(f"{'pattern':10}{'tokens':>8}{'pairs/token':>13}{'MB':>10}{'ms':>9}{'us/token':>10}")
    for pattern in PATTERNS:
        length = SHORTEST
        while length <= args.longest:
            cfg = config(pattern, args.window, args.summary)
            megabytes, seconds = measure(pattern, length, cfg, args.memory)
            shown = f"{1e3 * seconds:9.0f}{1e6 * seconds / length:10.1f}" if seconds else f"{'-':>9}{'-':>10}"
            print(f"{pattern:10}{length:8}{pairs(pattern, length, cfg) / length:13.0f}{megabytes:10.0f}{shown}")
            length *= 2


if __name__ == "__main__":
    main()
