"""Settings of the selection: what of the good text becomes the dataset."""

from __future__ import annotations

from dataclasses import dataclass, field

from baichuan_jax.core.errors import require


@dataclass(frozen=True)
class SelectConfig:
    """What goes into the dataset, and where.

    validation_fraction: expected share of documents held out in every domain, chosen by the hash of their text.
    max_bytes: domain name -> most bytes of text it may put into the dataset; the documents with the best scores stay.
    evaluation_sets: name -> path or glob of files that training must not see (.jsonl, .json, .csv, .tsv, .txt, these
    with .gz, and .zip of them). Their questions are cut out of the documents that hold them.
    ngram: tokens (ideographs, or words) that a question must have with its choices to be looked for.
    """

    validation_fraction: float = 0.02
    max_bytes: dict[str, int] = field(default_factory=dict)
    evaluation_sets: dict[str, str] = field(default_factory=dict)
    ngram: int = 13

    def __post_init__(self) -> None:
        fraction = self.validation_fraction
        require(0 < fraction < 1, "SelectConfig.validation_fraction", fraction, "a share between 0 and 1")
        for domain, size in self.max_bytes.items():
            require(size > 0, f"SelectConfig.max_bytes[{domain!r}]", size, "bytes, 1 at least")
        require(self.ngram >= 5, "SelectConfig.ngram", self.ngram, "tokens, 5 at least")
