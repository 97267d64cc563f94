"""Speed of the tokenizer: encoding beside raw SentencePiece and Hugging Face, training beside Hugging Face's trainer.

Command: make bench-tokenizer   (or: python -m experiments.benchmarks.bench_tokenizer [--corpora DIR] [--sizes MB ...])
Cost: about eight minutes on two cores, 4 GB of memory. Needs the package tokenizers (pip install tokenizers).

Encoding: the whole stage (read, encode, write) against `encode` of SentencePiece on 2 threads, and of tokenizers with
the same vocabulary on 2 threads, both on texts in memory; in turn, medians of the rounds. Training: 64,000 pieces, each
in a process of its own, for its peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from baichuan_jax.core.stage import versions
from baichuan_jax.data.dataset import domains, read_documents
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.export import JSON
from baichuan_jax.tokenizer.sample import pieces
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from baichuan_jax.tokenizer.stages import MODEL, build_tokens, make_tokenizer
from experiments.tokenizer_corpus import CORPORA, make_corpus, train_documents

WORKDIR = Path("runs/bench/tokenizer")
VOCAB, THREADS, ROUNDS = 64_000, 2, 3


def texts_of(corpus: Path) -> list[str]:
    """Return all documents."""
    splits = ("train", "validation")
    return [d["text"] for name in domains(corpus) for split in splits for d in read_documents(corpus, name, split)]


def bench_encode(corpus: Path, made: Path) -> None:
    """Print MB/s of every encode to encode, and the ratios."""
    import sentencepiece
    from tokenizers import Tokenizer

    texts = texts_of(corpus)
    size = sum(len(text.encode()) for text in texts) / 1e6
    raw = sentencepiece.SentencePieceProcessor(model_file=str(made / MODEL))
    peer = Tokenizer.from_file(str(made / JSON))

    def stage(workers: int) -> None:
        with tempfile.TemporaryDirectory() as directory:
            cfg = TokenizerConfig(threads=THREADS)
            build_tokens(cfg, RunnerConfig(workers=workers), corpus, made, Path(directory))

    encoders: dict[str, Callable[[], object]] = {
        "SentencePiece, 2 threads": lambda: raw.encode(texts, num_threads=THREADS),
        "our stage, 2 workers": lambda: stage(2),
        "our stage, 1 worker of 2 threads": lambda: stage(1),
        "tokenizers, same vocabulary": lambda: peer.encode_batch_fast(texts, add_special_tokens=False),
    }
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(ROUNDS):
        for name, encode in encoders.items():
            start = time.perf_counter()
            encode()
            seconds[name].append(time.perf_counter() - start)
    print(f"encode {size:.1f} MB, {len(texts):,} documents; medians of {ROUNDS} rounds")
    rates = {name: size / median(times) for name, times in seconds.items()}
    first, *_, last = rates.values()
    for name, rate in rates.items():
        print(
            f"  {name:34}{rate:7.1f} MB/s   {rate / first:.2f} of SentencePiece   {rate / last:.2f} of tokenizers",
            flush=True,
        )


def write_lines(corpus: Path, size: float, path: Path) -> None:
    """Write `size` bytes of lines, of all domains in turn; where there is less text it comes again."""
    with path.open("w", encoding="utf-8") as file:
        while True:
            for line in in_turn(corpus):
                file.write(line + "\n")
                if file.tell() >= size:
                    return


def in_turn(corpus: Path) -> Iterator[str]:
    """Yield a line of each domain that has one left, again and again."""
    streams = [(line for d in read() for line in pieces(d["text"])) for read in train_documents(corpus).values()]
    while streams:
        for stream in list(streams):
            line = next(stream, None)
            if line is None:
                streams.remove(stream)
            else:
                yield line


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file."""
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from (line.rstrip("\n") for line in file)


def train_ours(lines: Iterator[str], path: Path) -> None:
    """Train as the stage does."""
    train_tokenizer(TokenizerConfig(vocab=VOCAB, threads=THREADS), lines, path)


def train_peer(lines: Iterator[str], path: Path) -> None:
    """Train a BPE with byte fallback by tokenizers, text cut where ours is: at spaces, scripts and digits."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(byte_fallback=True))
    cuts = [pre_tokenizers.Metaspace(prepend_scheme="never"), pre_tokenizers.UnicodeScripts()]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cuts, pre_tokenizers.Digits(individual_digits=True)])
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, show_progress=False, max_token_length=16)
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.save(str(path))


TRAINERS = {"ours": train_ours, "tokenizers": train_peer}


def bench_train(corpus: Path, sizes: list[int]) -> None:
    """Print time and peak memory of both trainers."""
    print(f"train {VOCAB:,} pieces; lines of a file; peak memory of the process")
    for size in sizes:
        found, path = {}, WORKDIR / f"{size}.txt"
        write_lines(corpus, size * 1e6, path)
        for name in TRAINERS:
            arguments = [sys.executable, "-m", "experiments.benchmarks.bench_tokenizer", "--child", name, str(path)]
            found[name] = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
        said = "; ".join(f"{name} {r['seconds']:6.1f} s, {r['peak'] / 1e9:.2f} GB" for name, r in found.items())
        ratio = found["tokenizers"]["seconds"] / found["ours"]["seconds"]
        print(f"  {size:4} MB: {said}; ratio of times {ratio:.2f}", flush=True)


def child(name: str, text: Path) -> None:
    """Train once and print the seconds and the peak of resident memory as JSON."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        TRAINERS[name](read_lines(text), Path(directory) / "out")
    seconds = time.perf_counter() - start
    # Not getrusage: it counts the memory of the process that this one was started by.
    [peak] = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    print(json.dumps({"seconds": seconds, "peak": 1024 * int(peak)}))


def main() -> None:
    """Measure encoding, then training."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--corpora", default=CORPORA, help="a folder of NAME.LANGUAGE.jsonl.gz; without it, pip's text"
    )
    arguments.add_argument("--sizes", type=int, nargs="*", default=[10, 50, 100], metavar="MB", help="of training text")
    arguments.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = arguments.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(THREADS)
    if args.child:
        child(args.child[0], Path(args.child[1]))
        return
    try:
        import tokenizers
    except ImportError:
        sys.exit("the peer is not installed: pip install tokenizers")
    corpora = Path(args.corpora)
    corpus, _ = make_corpus(corpora if corpora.is_dir() else None, 0, WORKDIR, lambda *_: None)
    print(f"sentencepiece {versions()['sentencepiece']}, tokenizers {tokenizers.__version__}, {os.cpu_count()} cores")
    made = WORKDIR / "made"
    if not (made / JSON).exists():
        made.mkdir(exist_ok=True)
        make_tokenizer(TokenizerConfig(vocab=VOCAB), train_documents(corpus), made)
    bench_encode(corpus, made)
    bench_train(corpus, args.sizes)


if __name__ == "__main__":
    main()
