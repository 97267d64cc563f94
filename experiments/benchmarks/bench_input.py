"""Speed of the input side: encoding text to token shards, and loading batches from them.

Command: make bench   (or: python -m experiments.benchmarks.bench_input [CONFIG]). Encodes the run's cleaned text with
the run's tokenizer, beside raw SentencePiece on the same texts in memory; then loads batches of 256 sequences. Needs a
finished run, by default `make quickstart`. Cost: about a minute.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import sentencepiece

from baichuan_jax.data.dataset import domains, read_documents
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.tokenizer.shards import TokenStore
from baichuan_jax.tokenizer.stages import MODEL, build_tokens
from baichuan_jax.train.input import Batches, iterate


def encode(config: RunConfig, workdir: Path) -> None:
    """Print MB/s of the whole stage (read, encode, write) and of SentencePiece alone."""
    corpus, model = workdir / "data", workdir / "tokenizer" / MODEL
    texts = [
        document["text"]
        for domain in domains(corpus)
        for split in ("train", "validation")
        for document in read_documents(corpus, domain, split)
    ]
    size = sum(len(text.encode()) for text in texts) / 1e6
    raw = sentencepiece.SentencePieceProcessor(model_file=str(model))
    start = time.perf_counter()
    raw.encode(texts, num_threads=config.tokenizer.threads)
    raw_rate = size / (time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        build_tokens(config.tokenizer, config.runner, corpus, model, Path(directory))
        rate = size / (time.perf_counter() - start)
    print(f"encode {size:.1f} MB: {rate:.1f} MB/s with reading and writing, SentencePiece alone {raw_rate:.1f}")


def read(config: RunConfig, workdir: Path, length: int, packing: bool, steps: int = 200) -> None:
    """Print tokens per second through the sampler, the memory maps and grain, and the time to reach step 10^6."""
    cfg = replace(config.train, steps=steps, batch=256, length=length, accumulate=1)
    batches = Batches(cfg, replace(config.mix, packing=packing), TokenStore(workdir / "tokens"))
    loader = iterate(cfg, batches)
    next(loader)
    start = time.perf_counter()
    count = sum(1 for _ in loader)
    rate = count * cfg.batch * cfg.length / (time.perf_counter() - start)
    start = time.perf_counter()
    batches[10**6]
    seek = 1000 * (time.perf_counter() - start)
    kind = "packed documents" if packing else "joined documents"
    print(f"load sequences of {length:,}, {kind}: {rate / 1e6:.0f} M tokens/s; step 1,000,000 after {seek:.0f} ms")
    for note in batches.notes():
        print(note)


def main() -> None:
    """Measure both."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("config", nargs="?", default="configs/runs/quickstart.gin")
    config = load_config(arguments.parse_args().config)
    workdir = Path(config.workdir)
    encode(config, workdir)
    for length in (config.train.length, 2048):
        for packing in (False, True):
            read(config, workdir, length, packing)


if __name__ == "__main__":
    main()
