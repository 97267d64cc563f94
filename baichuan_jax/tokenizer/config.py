"""Settings of the tokenizer and of the token shards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from baichuan_jax.core.errors import require
from baichuan_jax.tokenizer.symbols import LAYOUTS

Layout = Literal["plain", "baichuan"]
Bos = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class TokenizerConfig:
    """How the SentencePiece BPE model is trained and the corpus encoded.

    file: a tokenizer to use instead of training one: a SentencePiece .model, a Hugging Face tokenizer.json, or a
    .tiktoken file; "" trains one, and the settings up to `layout` say how.
    vocab: number of pieces, those of special symbols and bytes included. character_coverage: share of the sample's
    characters that get a piece; the rest are spelled in bytes. sample_bytes: UTF-8 bytes to train on; 0 is all.
    zh_share: share of the sample that comes from Chinese documents, all domains together; None leaves it to the
    domains. The sample is as large as both languages allow. weights: domain -> its weight among those of its language,
    1 for those not named; a domain gives all it has before others give more. words: share of the sample that is words
    from frequency lists (wordfreq, the extra [demo]) instead of documents, for vocabulary that the documents lack.
    layout: which ids come before the learned pieces. "plain": 3 special ones and 256 bytes; "baichuan": between these
    the public vocabulary's 390 symbols (tags, digits, punctuation, 300 reserved).
    bos: whether the id that begins a text is put before documents and prompts: in token shards, evaluation, generation,
    serving and exports. "auto": as the files of the tokenizer say; of one that is trained here no, as Baichuan-7B's.
    threads: of training, and of encoding in one process. shard_bytes: UTF-8 bytes of text per token shard, roughly.
    """

    file: str = ""
    vocab: int = 64_000
    character_coverage: float = 0.9999
    sample_bytes: int = 0
    zh_share: float | None = None
    weights: dict[str, float] = field(default_factory=dict)
    words: float = 0.0
    layout: Layout = "plain"
    bos: Bos = "auto"
    threads: int = 2
    shard_bytes: int = 2**26

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
