"""Settings of the selection: what of the good text becomes the dataset."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting


@dataclass(frozen=True)
class SelectConfig:
    """Which documents go into the dataset, and into which split."""

    validation_fraction: float = setting(
        0.02, "expected share of documents held out in every domain, chosen by the hash of their text"
    )
    max_bytes: dict[str, int] = setting(
        {}, "domain name -> most bytes of text it may put into the dataset; the documents with the best scores stay"
    )
    evaluation_sets: dict[str, str] = setting(
        {},
        "name -> path or glob of files that training must not see (.jsonl, .json, .csv, .tsv, .txt, these with .gz, "
        "and .zip of them); their questions are cut out of the documents that hold them",
    )
    ngram: int = setting(
        13, "tokens (ideographs, or words) that a question must have, choices included, to be looked for"
    )

    def __post_init__(self) -> None:
        fraction = self.validation_fraction
        require(0 < fraction < 1, "SelectConfig.validation_fraction", fraction, "a share between 0 and 1")
        for domain, size in self.max_bytes.items():
            require(size > 0, f"SelectConfig.max_bytes[{domain!r}]", size, "bytes, 1 at least")
        require(self.ngram >= 5, "SelectConfig.ngram", self.ngram, "tokens, 5 at least")
