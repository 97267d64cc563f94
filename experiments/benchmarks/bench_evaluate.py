"""Questions per second of MMLU, beside lm-eval's Hugging Face backend on the same weights and the same files.

Command: make bench-evaluate PEER=PYTHON DATA=DIR   (or: python -m experiments.benchmarks.bench_evaluate --data-dir DIR
--peer PYTHON). Asks 200 five-shot questions, 40 of each of five subjects, of a decoder of random weights in float32
(configs/model/20m.gin) with the tokenizer of the quickstart, or of --checkpoint, a model in LLaMA's layout with its
tokenizer. PYTHON is an interpreter with lm-eval, torch, transformers and accelerate; without one ours runs alone.
--unshared adds ours without the sharing of beginnings. All run in turn on a subject, each in a process that waits for
the others, after a round of ours that compiles and is not timed. Cost: eight minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from lm_eval.api.instance import Instance
from sentencepiece import sentencepiece_model_pb2 as protos

from baichuan_jax.evaluate.harness.encode import Encoder
from baichuan_jax.evaluate.harness.load import load_tasks
from baichuan_jax.evaluate.score import scorer as scoring
from baichuan_jax.evaluate.score.plan import Group
from baichuan_jax.evaluate.score.scorer import Scorer
from baichuan_jax.model.execution import Execution
from baichuan_jax.recipe.load import load_config
from baichuan_jax.tokenizer.checkpoint_files import write_checkpoint_files
from baichuan_jax.tokenizer.tokenizer_files import load_tokenizer
from experiments.benchmarks.bench_generate import export_random, imported, one_device
from experiments.benchmarks.peer import Peer

SUBJECTS = ("high_school_biology", "management", "high_school_microeconomics", "sociology", "prehistory")
FEWSHOT = 5
SHARED, UNSHARED = "sharing", "not sharing"
# Scores the requests of a file for every file it is sent the name of: the seconds, and a log-likelihood each.
PEER = """
import json, logging, sys, time
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
logging.disable(logging.WARNING)
lm = HFLM(pretrained=sys.argv[1], device="cpu", dtype="float32", batch_size=int(sys.argv[2]))
for line in sys.stdin:
    pairs = json.load(open(line.strip()))
    requests = [Instance("loglikelihood", {}, tuple(pair), n) for n, pair in enumerate(pairs)]
    start = time.perf_counter()
    found = lm.loglikelihood(requests, disable_tqdm=True)
    print(json.dumps([time.perf_counter() - start, [value for value, _ in found]]), flush=True)
"""
Pairs = list[tuple[str, str]]
Timed = tuple[float, list[float]]


def questions(data_dir: Path, subject: str, limit: int) -> Pairs:
    """Return (context, continuation) of the first questions of a subject, four each."""
    [task] = load_tasks(f"mmlu_{subject}", data_dir, FEWSHOT)["tasks"].values()
    task.build_all_requests(limit=limit, rank=0, world_size=1)
    instances: list[Instance] = task.instances
    return [instance.args for instance in instances]


def ours(checkpoint: Path, directory: Path, shares: bool) -> Callable[[Pairs], Timed]:
    """Return a function that scores requests with our scorer on the imported checkpoint, tokenizing included."""
    model_cfg, params = imported(checkpoint, directory)
    encoder = Encoder(load_tokenizer(checkpoint), model_cfg.vocab)
    score = Scorer(model_cfg, params, Execution(layout=one_device()))

    def run(pairs: Pairs) -> Timed:
        known = scoring.groups_of
        scoring.groups_of = known if shares else lambda rows: [Group(0, list(rows))]
        start = time.perf_counter()
        found = dict(item for part in score(encoder.pairs(pairs)) for item in part)
        seconds = time.perf_counter() - start
        scoring.groups_of = known
        return seconds, [found[number].log_p for number in range(len(pairs))]

    return run


def peer(python: str, checkpoint: Path, batch: int, directory: Path) -> Callable[[Pairs], Timed]:
    """Return the same for lm-eval's Hugging Face backend, in a process of its own."""
    other = Peer(python, PEER, str(checkpoint), str(batch), needs="lm-eval, torch, transformers and accelerate")

    def run(pairs: Pairs) -> Timed:
        file = directory / "requests.json"
        file.write_text(json.dumps(pairs))
        return tuple(json.loads(other.ask(file)))

    return run


def compare(runners: dict[str, Callable[[Pairs], Timed]], subjects: dict[str, Pairs]) -> None:
    """Print questions per second of each subject, and over all the median of each runner's time by ours."""
    ratios = {name: [] for name in runners}
    for subject, pairs in subjects.items():
        first, _ = next(iter(runners.values()))(pairs)
        print(f"{subject}: {len(pairs) // 4} questions; ours, compiling, {first:.1f} s", flush=True)
        mine, base = np.empty(0), 0.0
        for name, run in runners.items():
            if name == UNSHARED:
                run(pairs)
            seconds, found = run(pairs)
            other = np.array(found).reshape(-1, 4)
            mine, base = (mine, base) if base else (other, seconds)  # the first is ours
            ratios[name].append(seconds / base)
            print(
                f"  {name:24}{len(other) / seconds:6.2f} questions/s; same choices as ours "
                f"{np.mean(mine.argmax(1) == other.argmax(1)):.1%}, log-likelihoods within "
                f"{np.abs(mine - other).max():.1e}",
                flush=True,
            )
    said = ", ".join(f"{name} {np.median(ratio):.2f}" for name, ratio in ratios.items())
    print(f"median over subjects of the time by that of ours: {said}")


def with_tokenizer(checkpoint: Path, out: Path, context: int) -> Path:
    """Copy a checkpoint of llama2.c's tiny models, and write its vocabulary, tok512.bin, as tokenizer files.

    Stock transformers loads what this makes. Return `out`.
    """
    out.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(checkpoint / name, out / name)
    model = out / "from-bin.model"
    model.write_bytes(_model((checkpoint / "tok512.bin").read_bytes()))
    write_checkpoint_files(None, model, load_tokenizer(model), context, out)
    model.unlink()
    return out


def _model(data: bytes) -> bytes:
    """Return a SentencePiece model with the pieces of a llama2.c vocabulary: score, length and bytes of each."""
    kinds = protos.ModelProto.SentencePiece
    model, place, id = protos.ModelProto(), 4, 0
    while place < len(data):
        score, length = struct.unpack_from("<fi", data, place)
        text = data[place + 8 : place + 8 + length].decode()
        place, kind = place + 8 + length, kinds.BYTE if 3 <= id < 259 else kinds.NORMAL
        if id < 3:
            text, kind = ("<unk>", "<s>", "</s>")[id], kinds.CONTROL if id else kinds.UNKNOWN
        model.pieces.add(piece=text.replace(" ", "\u2581"), score=score, type=kind)
        id += 1
    model.trainer_spec.model_type, model.trainer_spec.byte_fallback = protos.TrainerSpec.BPE, True
    model.trainer_spec.vocab_size = id
    model.normalizer_spec.name, model.normalizer_spec.add_dummy_prefix = "identity", True
    model.normalizer_spec.remove_extra_whitespaces = False
    return model.SerializeToString()


def random_20m(tokenizer: Path, directory: Path, config: str) -> Path:
    """Write random weights with a tokenizer as a checkpoint that transformers loads; return its directory."""
    model_cfg = load_config(config).model
    checkpoint = export_random(model_cfg, directory)
    write_checkpoint_files(None, tokenizer, load_tokenizer(tokenizer), model_cfg.context, checkpoint)
    return checkpoint


def main() -> None:
    """Print a line for ours, ours without sharing, and the peer."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data-dir", type=Path, required=True, help="a folder with mmlu.zip")
    arguments.add_argument("--peer", metavar="PYTHON", help="an interpreter with lm-eval, torch and transformers")
    arguments.add_argument("--batch", type=int, default=8, help="the peer's batch (default 8)")
    arguments.add_argument("--limit", type=int, default=200, help="questions in all (default 200)")
    arguments.add_argument("--unshared", action="store_true", help="ours without sharing as well")
    arguments.add_argument("--checkpoint", type=Path, help="a model in LLaMA's layout, instead of random weights")
    arguments.add_argument("--tokenizer", type=Path, default="runs/quickstart/tokenizer/tokenizer.model")
    arguments.add_argument("config", nargs="?", default="configs/model/20m.gin")
    args = arguments.parse_args()
    jax.config.update("jax_platforms", "cpu")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        checkpoint = args.checkpoint or random_20m(args.tokenizer, directory, args.config)
        if (checkpoint / "tok512.bin").exists():
            checkpoint = with_tokenizer(checkpoint, directory / "llama2c", 512)
        runners = {}
        for label in (SHARED, *([UNSHARED] if args.unshared else [])):
            runners[label] = ours(checkpoint, directory / "imported", label == SHARED)
        if args.peer:
            runners[f"Hugging Face, batch {args.batch}"] = peer(args.peer, checkpoint, args.batch, directory)
        compare(runners, {name: questions(args.data_dir, name, args.limit // len(SUBJECTS)) for name in SUBJECTS})


if __name__ == "__main__":
    main()
