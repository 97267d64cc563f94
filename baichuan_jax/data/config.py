"""Settings of the data step."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from baichuan_jax.core.errors import require

DOMAIN = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class DataConfig:
    """What to read and how to clean it. The thresholds of the rules stand in `rules.py`.

    sources: domain name -> where its text is. One of: a path or glob ("texts/**/*.jsonl.gz"; several separated by
    ";"), "demo:NAME" (text that pip brings, the extra [demo]), or "tfds:NAME[/CONFIG][:VERSION][@SPLIT]" (a prepared
    tensorflow-datasets dataset; the split defaults to train).
    text_field: the field of JSON lines, Parquet columns and tensorflow-datasets examples that holds the text.
    invalid_utf8: "replace" puts U+FFFD for bytes that are not UTF-8 and counts them; "reject" stops with an error.
    near_duplicate: Jaccard similarity of two documents from which only the longer stays; 0 looks for none.
    max_bytes: raw text read per domain, in UTF-8 bytes; reading stops with the document that reaches it. 0: no limit.
    validation_fraction: expected share of documents held out in every domain, chosen by the hash of their text.
    """

    sources: dict[str, str] = field(default_factory=dict)
    text_field: str = "text"
    invalid_utf8: Literal["replace", "reject"] = "replace"
    near_duplicate: float = 0.8
    max_bytes: int = 0
    validation_fraction: float = 0.02

    def __post_init__(self) -> None:
        for domain, spec in self.sources.items():
            named = bool(DOMAIN.fullmatch(domain))
            require(named, "DataConfig.sources", domain, "domain names like 'zh_news' ([a-z][a-z0-9_]*)")
            require(bool(spec.strip()), f"DataConfig.sources[{domain!r}]", spec, "a path, a glob, demo:... or tfds:...")
        require(bool(self.text_field), "DataConfig.text_field", self.text_field, "the name of a field")
        require(
            self.invalid_utf8 in ("replace", "reject"),
            "DataConfig.invalid_utf8",
            self.invalid_utf8,
            "'replace' or 'reject'",
        )
        require(
            0 <= self.near_duplicate <= 1,
            "DataConfig.near_duplicate",
            self.near_duplicate,
            "a similarity up to 1, or 0 for none",
        )
        require(self.max_bytes >= 0, "DataConfig.max_bytes", self.max_bytes, "bytes, or 0 for no limit")
        require(
            0 < self.validation_fraction < 1,
            "DataConfig.validation_fraction",
            self.validation_fraction,
            "a share between 0 and 1",
        )
