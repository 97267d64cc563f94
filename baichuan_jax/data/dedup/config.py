"""Settings of the search for duplicates."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require


@dataclass(frozen=True)
class DedupConfig:
    """Which texts count as the same. Equal documents always do.

    documents: Jaccard similarity of two documents from which only the better stays; 0 looks for none.
    sentences: Jaccard similarity of two sentences from which they count as one; 0 looks for none.
    sentence_documents: a sentence that stands in so many documents stays in the best of them only.
    contained: share of a document, in characters, that may stand in better documents too; with more it goes whole.
    memory: megabytes that the search may hold in memory; beyond that it works from files.
    """

    documents: float = 0.8
    sentences: float = 0.8
    sentence_documents: int = 2
    contained: float = 0.8
    memory: int = 2000

    def __post_init__(self) -> None:
        for name in ("documents", "sentences"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"DedupConfig.{name}", value, "a similarity up to 1, or 0 for none")
        number = self.sentence_documents
        require(number >= 2, "DedupConfig.sentence_documents", number, "a number of documents, 2 at least")
        require(0 < self.contained <= 1, "DedupConfig.contained", self.contained, "a share in (0, 1]")
        require(self.memory >= 64, "DedupConfig.memory", self.memory, "megabytes, 64 at least")
