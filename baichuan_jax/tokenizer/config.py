"""Settings of the tokenizer and of the token shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.tokenizer.symbols import LAYOUTS

Layout = Literal["plain", "baichuan"]
Bos = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class TokenizerConfig:
    """How the SentencePiece BPE model is trained and the corpus encoded; `file` replaces settings up to `layout`."""

    file: str = setting(
        "",
        "tokenizer to use instead of training one: a SentencePiece .model, a Hugging Face tokenizer.json, or a "
        ".tiktoken file; '' trains one",
    )
    vocab: int = setting(64_000, "number of pieces, special symbols and bytes included")
    character_coverage: float = setting(
        0.9999, "share of the sample's characters that get a piece; the rest are spelled in bytes"
    )
    sample_bytes: int = setting(0, "UTF-8 bytes of text to train on; 0 is all")
    zh_share: float | None = setting(
        None,
        "share of the sample that comes from Chinese documents of all domains; the sample is as large as both "
        "languages allow; None leaves the share to the domains",
    )
    weights: dict[str, float] = setting(
        {},
        "domain name -> its weight among the domains of its language, 1 for those not named; a domain gives all it has "
        "before others give more",
    )
    words: float = setting(
        0.0,
        "share of the sample that is words from frequency lists (wordfreq, the extra [demo]) instead of documents, for "
        "vocabulary that the documents lack",
    )
    layout: Layout = setting(
        "plain",
        "ids before the learned pieces: 'plain' has 3 special ids and 256 bytes; 'baichuan' adds the 390 symbols of "
        "Baichuan-7B's vocabulary between them (tags, digits, punctuation, 300 reserved)",
    )
    bos: Bos = setting(
        "auto",
        "whether BOS is prepended to documents and prompts, in token shards, evaluation, generation, serving and "
        "exports; 'auto' follows the files of the tokenizer; a tokenizer trained here has none, as Baichuan-7B's",
    )
    threads: int = setting(2, "threads that train, and that encode in one process")
    shard_bytes: int = setting(2**26, "approximate UTF-8 bytes of text per token shard")

    def __post_init__(self) -> None:
        fixed = 259 + len(LAYOUTS[self.layout])
        enough = bool(self.file) or self.vocab > fixed
        require(enough, "TokenizerConfig.vocab", self.vocab, f"more than the {fixed} fixed pieces")
        coverage = self.character_coverage
        require(0.98 <= coverage <= 1, "TokenizerConfig.character_coverage", coverage, "a share between 0.98 and 1")
        require(self.sample_bytes >= 0, "TokenizerConfig.sample_bytes", self.sample_bytes, "0 (all) or more")
        share = self.zh_share
        require(share is None or 0 <= share <= 1, "TokenizerConfig.zh_share", share, "a share between 0 and 1, or None")
        least = min(self.weights.values(), default=1.0)
        require(least >= 0, "TokenizerConfig.weights", self.weights, "weights of 0 or more")
        require(0 <= self.words < 1, "TokenizerConfig.words", self.words, "a share of 0 or more, below 1")
        require(self.threads > 0, "TokenizerConfig.threads", self.threads, "a positive integer")
        require(self.shard_bytes > 0, "TokenizerConfig.shard_bytes", self.shard_bytes, "a positive integer")
