"""The two tokenizer stages: train the model, then encode the corpus with it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from baichuan_jax.core.errors import require
from baichuan_jax.core.files import atomic_path
from baichuan_jax.data.dataset import domains, read_documents
from baichuan_jax.data.split import SPLITS, Split
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.shards import write_index, write_split
from baichuan_jax.tokenizer.tokenizer import Tokenizer
from baichuan_jax.tokenizer.train import sample_lines, train

MODEL = "tokenizer.model"


def build_tokenizer(cfg: TokenizerConfig, corpus: Path, directory: Path) -> dict:
    """Trains on the train split of every domain, or takes a model; measures compression on the validation split."""
    texts = {domain: _texts(corpus, domain, "train") for domain in domains(corpus)}
    if cfg.model:
        found = Tokenizer(Path(cfg.model)).vocab
        require(found == cfg.vocab, "TokenizerConfig.vocab", cfg.vocab, f"{found}, which {cfg.model} has")
        with atomic_path(directory / MODEL) as partial:
            shutil.copyfile(cfg.model, partial)
    else:
        train(cfg, sample_lines(texts, cfg.sample_bytes), directory / MODEL)
    tokenizer = Tokenizer(directory / MODEL)
    compression = {domain: _compression(tokenizer, corpus, domain) for domain in texts}
    return {"vocab": tokenizer.vocab, "compression": compression}


def _texts(corpus: Path, domain: str, split: Split) -> Iterator[str]:
    return (document["text"] for document in read_documents(corpus, domain, split))


def _compression(tokenizer: Tokenizer, corpus: Path, domain: str) -> dict[str, float]:
    """Returns bytes per token and tokens per character on held-out text."""
    texts = list(_texts(corpus, domain, "validation"))
    tokens = sum(map(len, tokenizer.encode_batch(texts)))
    characters = sum(map(len, texts))
    size = sum(len(text.encode()) for text in texts)
    return {"bytes_per_token": size / tokens, "tokens_per_character": tokens / characters}


def build_tokens(cfg: TokenizerConfig, corpus: Path, model: Path, directory: Path) -> dict:
    """Encodes every domain and split into token shards."""
    tokenizer, shards, start = Tokenizer(model), {}, time.monotonic()
    for domain in domains(corpus):
        shards[domain] = {
            split: write_split(
                tokenizer, _texts(corpus, domain, split), directory / domain / split, cfg.shard_tokens, cfg.threads
            )
            for split in SPLITS
        }
    write_index(directory, tokenizer.vocab, shards)
    counts = {
        domain: {
            split: {key: sum(shard[key] for shard in entries) for key in ("documents", "tokens")}
            for split, entries in splits.items()
        }
        for domain, splits in shards.items()
    }
    total = sum(split["tokens"] for splits in counts.values() for split in splits.values())
    return {"domains": counts, "tokens": total, "tokens_per_second": total / (time.monotonic() - start)}
