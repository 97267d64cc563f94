"""Tokens per second of generation, beside transformers' `generate` on the same weights.

Command: make bench-generate   (or: python -m experiments.benchmarks.bench_generate [CONFIG] [--peer PYTHON] [--rounds
N]). Decodes 32 prompts of 4 to 60 tokens at once, and one alone, 64 new tokens each, greedily in float32: on a decoder
of random weights (20M: configs/model/20m.gin), and on a checkpoint in LLaMA's layout, if --checkpoint names one. PYTHON
is an interpreter with torch and transformers, which the project does not install; without one ours runs alone. Both
sides run in turn, each in a process that waits for the other, so that a noisy machine is noisy for both. Cost: three
minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from baichuan_jax.convert import load as weights
from baichuan_jax.convert.check import check
from baichuan_jax.convert.hf_config import read_config
from baichuan_jax.convert.publish import publish, write_config
from baichuan_jax.convert.save import save
from baichuan_jax.convert.source import CONFIG, Source
from baichuan_jax.core.files import write_json
from baichuan_jax.core.pages import use_huge_pages
from baichuan_jax.generate.config import EngineConfig, SampleConfig
from baichuan_jax.generate.engine import Engine
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, param_axes
from baichuan_jax.model.execution import Execution
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.recipe.load import load_config
from baichuan_jax.train.checkpoint import Checkpoints, newest_params
from baichuan_jax.train.config import OptimConfig
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.saving import CheckpointWriter
from baichuan_jax.train.state import ShardedState, abstract_params
from experiments.benchmarks.peer import Peer

NEW = 64
# Reads the prompts, then runs all of them for every line it is sent, and answers with the seconds and the new ids.
PEER = """
import json, sys, time, torch
from transformers import AutoModelForCausalLM
prompts = json.loads(sys.argv[2])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
model.generation_config.eos_token_id = None
model.generation_config.pad_token_id = 0
longest = max(map(len, prompts))
ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
for _ in sys.stdin:
    start = time.perf_counter()
    made = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=int(sys.argv[3]), do_sample=False)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, made[:, longest:].tolist()]), flush=True)
"""
Timed = tuple[float, list[list[int]]]


def export_random(model_cfg: DecoderConfig, directory: Path) -> Path:
    """Write random weights as a checkpoint that transformers loads; return its directory."""
    optimizer = make_optimizer(OptimConfig(), 1000, param_axes(model_cfg))
    with CheckpointWriter(directory / "ours", 1) as checkpoints:
        checkpoints.save(ShardedState(model_cfg, optimizer, one_device()).init(0), {})
    out = directory / "llama"
    out.mkdir()
    save(newest_params(directory / "ours"), model_cfg, "llama", None, 10**9, out, lambda done, total: None)
    write_json(out / CONFIG, write_config(publish(model_cfg, "llama"), "llama", "float32"))
    return out


def one_device() -> Layout:
    """Return a layout of the first device."""
    return Layout(make_mesh(MeshConfig(), jax.devices()[:1]), AxisRules())


def imported(checkpoint: Path, directory: Path) -> tuple[DecoderConfig, Params]:
    """Return the decoder of a published checkpoint, imported into a directory."""
    source = Source(checkpoint)
    layout, model_cfg = read_config(source.config, checkpoint / CONFIG)
    check(source, model_cfg, layout)
    weights.load(source, model_cfg, layout, directory, lambda done, total: None)
    with Checkpoints(directory) as checkpoints:
        return model_cfg, checkpoints.restore_params(abstract_params(model_cfg, one_device()))


def ours(checkpoint: Path, prompts: list[list[int]], directory: Path) -> Callable[[], Timed]:
    """Return a function that continues the prompts with our engine on the imported checkpoint."""
    model_cfg, params = imported(checkpoint, directory)
    engine = Engine(EngineConfig(slots=len(prompts), burst=16), model_cfg, params, (), Execution(layout=one_device()))
    sample = SampleConfig(max_tokens=NEW, temperature=0)
    return lambda: continued(engine, prompts, sample)


def continued(engine: Engine, prompts: list[list[int]], sample: SampleConfig) -> Timed:
    """Continue all prompts; return the seconds and the new ids."""
    start = time.perf_counter()
    requests = [engine.submit(prompt, sample) for prompt in prompts]
    while engine.busy:
        engine.step()
    return time.perf_counter() - start, [request.ids for request in requests]


def peer(python: str, checkpoint: Path, prompts: list[list[int]]) -> Callable[[], Timed]:
    """Return the same for transformers, in a process of its own."""
    other = Peer(python, PEER, str(checkpoint), json.dumps(prompts), str(NEW), needs="torch and transformers")
    return lambda: tuple(json.loads(other.ask("go")))


def compare(
    name: str, checkpoint: Path, prompts: list[list[int]], python: str | None, rounds: int, directory: Path
) -> None:
    """Print the median tokens per second of both, the median ratio, and how many of the tokens are the same."""
    runners = [ours(checkpoint, prompts, directory), *([peer(python, checkpoint, prompts)] if python else [])]
    timed = [[run() for run in runners] for _ in range(rounds + 1)][1:]  # the first compiles and warms up
    seconds = np.array([[seconds for seconds, _ in row] for row in timed])
    rates = NEW * len(prompts) / np.median(seconds, axis=0)
    line = f"{name:14}{len(prompts):3} prompts: {rates[0]:,.0f} tokens/s"
    if python:
        (_, mine), (_, theirs) = timed[0]
        same = float(np.mean(np.array(mine) == np.array(theirs)))
        ratio = float(np.median(seconds[:, 1] / seconds[:, 0]))
        line += f", transformers {rates[1]:,.0f}; median ratio {ratio:.2f}; same tokens {same:.1%}"
    print(line, flush=True)


def main() -> None:
    """Print a line for each model and batch."""
    use_huge_pages()
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--peer", metavar="PYTHON", help="an interpreter with torch and transformers")
    arguments.add_argument("--rounds", type=int, default=7, help="timed rounds of each (default 7)")
    arguments.add_argument("--checkpoint", type=Path, help="a trained model in LLaMA's layout, as well")
    arguments.add_argument("config", nargs="?", default="configs/model/20m.gin")
    args = arguments.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        random = export_random(load_config(args.config).model, directory)
        for checkpoint in (*([args.checkpoint] if args.checkpoint else []), random):
            vocab = json.loads((checkpoint / CONFIG).read_text())["vocab_size"]
            prompts = [rng.integers(3, vocab, rng.integers(4, 61)).tolist() for _ in range(32)]
            for count in (32, 1):
                label = Path(args.config).stem if checkpoint is random else checkpoint.name
                place = directory / f"{label}-{count}"
                compare(label, checkpoint, prompts[:count], args.peer, args.rounds, place)


if __name__ == "__main__":
    main()
