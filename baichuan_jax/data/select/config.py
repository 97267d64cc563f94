"""Settings of the selection of documents."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting


@dataclass(frozen=True)
class SelectConfig:
    """Splits, caps and decontamination."""

    validation_fraction: float = setting(
        0.02, "expected share of documents held out in every domain, chosen by the hash of their text"
    )
    max_bytes: dict[str, int] = setting(
        {}, "domain name -> maximum bytes of text in the dataset; the documents with the best scores stay"
    )
    evaluation_sets: dict[str, str] = setting(
        {},
        "name -> path or glob of files that training must not see (.jsonl, .json, .csv, .tsv, .txt, these with .gz, "
        "and .zip of them); their questions are removed from documents",
    )
    ngram: int = setting(13, "minimum tokens (ideographs or words) of a question, choices included, to be searched for")

    def __post_init__(self) -> None:
        fraction = self.validation_fraction
        require(0 < fraction < 1, "SelectConfig.validation_fraction", fraction, "a share between 0 and 1")
        for domain, size in self.max_bytes.items():
            require(size > 0, f"SelectConfig.max_bytes[{domain!r}]", size, "bytes, 1 at least")
        require(self.ngram >= 5, "SelectConfig.ngram", self.ngram, "tokens, 5 at least")
