"""Settings of the search for duplicates."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting


@dataclass(frozen=True)
class DedupConfig:
    """Thresholds of near-duplicates. Equal documents are always duplicates."""

    documents: float = setting(
        0.8,
        "Jaccard similarity from which two documents are near-duplicates; only the better one stays; 0 turns the "
        "search off",
    )
    sentences: float = setting(
        0.8, "Jaccard similarity from which two sentences are near-duplicates; 0 turns the search off"
    )
    sentence_documents: int = setting(
        2, "a sentence that occurs in at least this many documents stays only in the best of them"
    )
    contained: float = setting(
        0.8,
        "share of a document's characters in better documents from which it is removed",
    )
    memory: int = setting(2000, "memory of the search in megabytes; beyond that it uses files")

    def __post_init__(self) -> None:
        for name in ("documents", "sentences"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"DedupConfig.{name}", value, "a similarity up to 1, or 0 for none")
        number = self.sentence_documents
        require(number >= 2, "DedupConfig.sentence_documents", number, "a number of documents, 2 at least")
        require(0 < self.contained <= 1, "DedupConfig.contained", self.contained, "a share in (0, 1]")
        require(self.memory >= 64, "DedupConfig.memory", self.memory, "megabytes, 64 at least")
