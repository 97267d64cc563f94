"""Settings of the tokenizer and of the token shards."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require


@dataclass(frozen=True)
class TokenizerConfig:
    """How the SentencePiece BPE model is trained and the corpus encoded.

    model: path of a SentencePiece model to use; without one, one is trained. vocab: number of pieces, the 259 special
    and byte pieces included. character_coverage: share of the sample's characters that get a piece; the rest are
    spelled in bytes. sample_bytes: UTF-8 bytes to train on, shared equally by the domains; 0 is all. threads: of
    training and of encoding. shard_tokens: tokens per shard file.
    """

    model: str = ""
    vocab: int = 64_000
    character_coverage: float = 0.9999
    sample_bytes: int = 0
    threads: int = 2
    shard_tokens: int = 2**26

    def __post_init__(self) -> None:
        require(self.vocab > 259, "TokenizerConfig.vocab", self.vocab, "more than the 259 special and byte pieces")
        coverage = self.character_coverage
        require(0.9 <= coverage <= 1, "TokenizerConfig.character_coverage", coverage, "a share between 0.9 and 1")
        require(self.sample_bytes >= 0, "TokenizerConfig.sample_bytes", self.sample_bytes, "0 (all) or more")
        require(self.threads > 0, "TokenizerConfig.threads", self.threads, "a positive integer")
        require(self.shard_tokens > 0, "TokenizerConfig.shard_tokens", self.shard_tokens, "a positive integer")
