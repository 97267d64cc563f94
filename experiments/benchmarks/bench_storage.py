"""Tokens per second of generation with weights and cache held in fewer bytes, and how near memory lets them come.

Command: python -m experiments.benchmarks.bench_storage [CONFIG] [--rows N [N]] [--set NAME.FIELD=VALUE]   (Baichuan-7B
of random weights, in the platform's compute dtype). Every step reads all weights and the cache once; a card of a known
bandwidth would need "at best" for that alone. Cost: four minutes on an H200.
"""

from __future__ import annotations

import argparse

import jax
import numpy as np

from baichuan_jax.generate.config import EngineConfig, SampleConfig
from baichuan_jax.generate.engine import Engine
from baichuan_jax.model.decoder import for_decoding, init_params
from baichuan_jax.parallel.targets import known_card
from baichuan_jax.recipe.load import load_config
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.step import make_execution
from experiments.benchmarks.bench_generate import continued, one_device

PROMPT, NEW, ROUNDS = 128, 128, 3
HELD = (("compute", "compute"), ("int8", "compute"), ("int8", "int8"))  # weights, cache


def size(tree: object) -> int:
    """Return the bytes of the arrays."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def seconds(engine: Engine, prompts: list[list[int]], tokens: int) -> float:
    """Return what it takes to continue all prompts by so many tokens: the median, after a round that compiles."""
    sample = SampleConfig(max_tokens=tokens, temperature=0)
    return float(np.median([continued(engine, prompts, sample)[0] for _ in range(ROUNDS + 1)][1:]))


def main() -> None:
    """Print a line for every number of rows and every way to hold them."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rows", type=int, nargs="+", default=[1, 32], help="texts at once (default 1 and 32)")
    arguments.add_argument("--set", action="append", default=[], dest="overrides", metavar="NAME.FIELD=VALUE")
    arguments.add_argument("config", nargs="?", default="configs/model/baichuan_7b.gin")
    args = arguments.parse_args()
    model_cfg = load_config(args.config, tuple(args.overrides)).model
    exe = make_execution(TrainConfig(), model_cfg, one_device())
    dtype = exe.dtype
    params = jax.jit(lambda: init_params(model_cfg, jax.random.key(0)))()
    card = known_card(jax.devices()[0])
    print(f"{jax.devices()[0].device_kind}, computed in {dtype.name}", flush=True)
    for rows in args.rows:
        prompts = np.random.default_rng(0).integers(0, model_cfg.vocab, (rows, PROMPT)).tolist()
        for weights, cache in HELD:
            cfg = EngineConfig(slots=rows, burst=16, weights=weights, cache=cache)
            engine = Engine(cfg, model_cfg, params, (), exe)
            step = (seconds(engine, prompts, NEW + 1) - seconds(engine, prompts, 1)) / NEW  # without the prefill
            read = size(jax.eval_shape(lambda p, w=weights: for_decoding(model_cfg, p, w, dtype), params))
            best = f", at best {read / card.bandwidth * 1e3:.2f}" if card else ""
            print(
                f"{rows:3} rows, weights {weights:8} cache {cache:8}: {rows / step:7,.0f} tokens/s, "
                f"{step * 1e3:6.2f} ms a step{best} (weights {read / 1e9:.1f} GB)",
                flush=True,
            )
            del engine


if __name__ == "__main__":
    main()
