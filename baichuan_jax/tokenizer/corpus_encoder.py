"""Encode the corpus into token shards, in parallel: each shard is a task of the runner."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from baichuan_jax.data.dataset import domains, read_documents, split_size
from baichuan_jax.data.split import SPLITS, Split
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.runner import Runner
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.shards import describe_shard, shard_path, token_dtype, write_index, write_shard
from baichuan_jax.tokenizer.tokenizer_files import load_tokenizer

WORK = "work"  # the runner's logs and marks; deleted once all shards are written
BATCH = 2**20  # characters encoded at once


@dataclass(frozen=True)
class ShardRange:
    """The documents `first` to `end` - 1 of a split, which form one shard. number: of the shard within the split."""

    domain: str
    split: Split
    number: int
    first: int
    end: int


@dataclass(frozen=True)
class Encode:
    """Task NUMBER writes a shard. bos: as in `load_tokenizer`. threads: of each task."""

    corpus: Path
    model: Path
    bos: str
    directory: Path
    ranges: tuple[ShardRange, ...]
    threads: int

    def __call__(self, number: int) -> None:
        piece = self.ranges[number]
        documents = read_documents(self.corpus, piece.domain, piece.split, piece.first, piece.end, fields=("text",))
        path = shard_path(self.directory, piece.domain, piece.split, piece.number)
        encode_texts(self._tokenizer, (document["text"] for document in documents), path, self.threads)

    @cached_property
    def _tokenizer(self) -> AnyTokenizer:
        return load_tokenizer(self.model, self.bos)

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_tokenizer"}


def encode_texts(tokenizer: AnyTokenizer, texts: Iterable[str], path: Path, threads: int = 1) -> dict:
    """Write one shard, each text between `begin` and `end` of the tokenizer; return its index entry."""
    dtype = token_dtype(tokenizer.vocab)
    encoded = (ids for batch in _ahead(_batches(texts)) for ids in tokenizer.encode_batch(batch, threads))
    around = lambda ids: np.concatenate([tokenizer.begin, ids, tokenizer.end], dtype=dtype, casting="unsafe")
    write_shard(path, list(map(around, encoded)), dtype)
    return describe_shard(path, dtype)


def _ahead(batches: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield the batches while a thread reads the next one; encoding releases the GIL."""
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = reader.submit(next, batches, None)
            yield batch


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    yield batch


def shard_ranges(corpus: Path, shard_bytes: int) -> tuple[ShardRange, ...]:
    """Return the shards of every split, of equally many documents and about `shard_bytes` each; deterministic."""
    found = []
    for domain in domains(corpus):
        for split in SPLITS:
            documents, size = split_size(corpus, domain, split)
            count = max(1, min(documents, -(-size // shard_bytes)))
            bounds = [documents * number // count for number in range(count + 1)]
            found += [ShardRange(domain, split, n, first, end) for n, (first, end) in enumerate(pairwise(bounds))]
    return tuple(found)


def encode_corpus(
    corpus: Path,
    model: Path,
    bos: str,
    directory: Path,
    shard_bytes: int,
    threads: int,
    runner: RunnerConfig,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, list[dict]]]:
    """Write the shards of every domain and split, then the index; return the index: {domain: {split: [entry]}}.

    bos: as in `load_tokenizer`. After an interruption, existing shards are kept. The bytes do not depend on the number
    of workers or attempts.
    """
    pieces, shards = shard_ranges(corpus, shard_bytes), {}
    task = Encode(corpus, model, bos, directory, pieces, threads if runner.workers == 1 else 1)
    with Runner(runner, directory / WORK) as tasks:
        tasks.run("encode", task, len(pieces), progress)
    tokenizer = task._tokenizer
    paths = [shard_path(directory, piece.domain, piece.split, piece.number) for piece in pieces]
    with ThreadPoolExecutor() as readers:
        described = readers.map(lambda path: describe_shard(path, token_dtype(tokenizer.vocab)), paths)
        for piece, entry in zip(pieces, described):
            shards.setdefault(piece.domain, {}).setdefault(piece.split, []).append(entry)
    write_index(directory, tokenizer.vocab, shards, len(tokenizer.begin), len(tokenizer.end))
    shutil.rmtree(directory / WORK)
    return shards
