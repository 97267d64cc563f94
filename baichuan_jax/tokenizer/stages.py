"""The stages `tokenizer` and `tokens`: train the model, then encode the corpus with it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json
from baichuan_jax.core.stage import finished_in
from baichuan_jax.data.dataset import domains, read_documents
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.tokenizer.checkpoint_files import SPECIAL_FILES
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.corpus_encoder import encode_corpus
from baichuan_jax.tokenizer.export import export_huggingface
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.sample import Documents, plan_sample, sample_lines
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from baichuan_jax.tokenizer.special_tokens import STEM
from baichuan_jax.tokenizer.tokenizer_files import EARLIER, KINDS, load_tokenizer

MODEL = f"{STEM}.model"
Progress = Callable[[str, int, int], None]  # called as progress(name, units done, units)


def build_tokenizer(cfg: TokenizerConfig, corpus: Path, directory: Path, progress: Progress | None = None) -> dict:
    """Train on the train split of every domain, or copy TokenizerConfig.file; measure it on the validation split.

    A tokenizer trained here is also written as tokenizer.json, for transformers. Raise UserError if the file cannot be
    used, or training fails.
    """
    documents = {
        domain: partial(read_documents, corpus, domain, "train", fields=("text", "language"))
        for domain in domains(corpus)
    }
    if cfg.file:
        made = _copy_tokenizer(Path(cfg.file), directory)
    else:
        made = make_tokenizer(cfg, documents, directory, progress)
    tokenizer = load_tokenizer(directory, cfg.bos)
    if cfg.file and tokenizer.vocab > cfg.vocab:
        raise UserError(
            f"TokenizerConfig.file = {cfg.file!r} has {tokenizer.vocab:,} ids, more than TokenizerConfig.vocab = "
            f"{cfg.vocab:,}; raise that (and DecoderConfig.vocab)"
        )
    compression = {domain: _compression(tokenizer, corpus, domain) for domain in documents}
    return {"vocab": tokenizer.vocab, "begin": list(tokenizer.begin), "compression": compression, **made}


def stage_bos(directory: Path) -> str | None:
    """Return the `bos` argument of `load_tokenizer` with which the tokenizer stage in a directory was run.

    None if the stage has not finished. EARLIER if it ran before TokenizerConfig.bos existed.
    """
    if not finished_in(directory):
        return None
    begin = read_json(directory / "result.json").get("begin")
    return EARLIER if begin is None else "on" if begin else "off"


def make_tokenizer(
    cfg: TokenizerConfig, documents: Documents, directory: Path, progress: Progress | None = None
) -> dict:
    """Train a tokenizer on documents and write its files; return the composition of the sample, and the seconds."""
    plan = plan_sample(cfg, documents)
    start = time.monotonic()
    train_tokenizer(cfg, _reporting(sample_lines(plan, documents), plan.total, progress), directory / MODEL)
    export_huggingface(directory / MODEL, directory, begins=cfg.bos == "on")
    return {"sample": plan.record(), "training_seconds": round(time.monotonic() - start, 2)}


def _reporting(lines: Iterator[str], total: float, progress: Progress | None) -> Iterator[str]:
    """Yield the lines, and report how many megabytes of the sample were read."""
    size, told = 0, -1
    for line in lines:
        size += len(line.encode())
        if progress is not None and size // 10**6 > told:
            told = size // 10**6
            progress("read of the sample (MB)", told, round(total / 1e6))
        yield line
    if progress is not None:
        progress("read of the sample (MB), now merging pairs", round(total / 1e6), round(total / 1e6))


def _copy_tokenizer(file: Path, directory: Path) -> dict:
    """Copy a tokenizer file, and the files beside it that name its special ids."""
    load_tokenizer(file)  # fails here, before anything is written, if it is broken
    if file.suffix not in KINDS:
        raise UserError(f"TokenizerConfig.file = {str(file)!r}: expected a file, {', '.join(KINDS)}")
    shutil.copyfile(file, directory / f"{STEM}{file.suffix}")
    for name in SPECIAL_FILES if file.stem == STEM else ():
        if file.with_name(name).is_file():
            shutil.copyfile(file.with_name(name), directory / name)
    return {"file": file.name}


def _compression(tokenizer: AnyTokenizer, corpus: Path, domain: str) -> dict[str, float]:
    """Return bytes per token and tokens per character on held-out text."""
    texts = [document["text"] for document in read_documents(corpus, domain, "validation")]
    tokens = sum(map(len, tokenizer.encode_batch(texts)))
    characters = sum(map(len, texts))
    size = sum(len(text.encode()) for text in texts)
    return {"bytes_per_token": size / tokens, "tokens_per_character": tokens / characters}


def build_tokens(
    cfg: TokenizerConfig,
    runner: RunnerConfig,
    corpus: Path,
    model: Path,
    directory: Path,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Encode every domain and split into token shards.

    model: a tokenizer file, or a directory with one. For the directory of a tokenizer stage, the result of that stage
    decides whether documents begin with BOS, else cfg.bos.
    """
    start = time.monotonic()
    bos = stage_bos(model) or cfg.bos
    shards = encode_corpus(corpus, model, bos, directory, cfg.shard_bytes, cfg.threads, runner, progress)
    counts = {
        domain: {
            split: {key: sum(shard[key] for shard in entries) for key in ("documents", "tokens")}
            for split, entries in splits.items()
        }
        for domain, splits in shards.items()
    }
    total = sum(split["tokens"] for splits in counts.values() for split in splits.values())
    return {"domains": counts, "tokens": total, "tokens_per_second": total / (time.monotonic() - start)}
