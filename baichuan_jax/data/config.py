"""Settings of reading: what is read, and what becomes of text that cannot be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from baichuan_jax.core.errors import require

DOMAIN = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class DataConfig:
    """What to read.

    sources: domain name -> where its text is. One of: a path or glob ("texts/**/*.jsonl.gz"; several separated by
    ";", on any storage that fsspec knows, as in "s3://bucket/*.parquet"), "demo:NAME" (text that pip brings, the extra
    [demo]), or "tfds:NAME[/CONFIG][:VERSION][@SPLIT]" (a prepared tensorflow-datasets dataset; the split defaults to
    train).
    licences: domain name -> its licence, for the data card; those of other domains are not used.
    text_field: the field of JSON lines, Parquet columns and tensorflow-datasets examples that holds the text.
    damaged: what becomes of input that cannot be read (a file cut short, a line that is not JSON, bytes that are not
    UTF-8). "skip" leaves it out, or puts U+FFFD for such bytes, and counts it; "stop" makes it an error.
    max_bytes: raw text read per domain, in UTF-8 bytes; reading stops with the document that reaches it. 0: no limit.
    task_bytes: size of the files that one task reads, unless a single one is larger. It shapes the shards of the
    dataset, so it does not follow the number of workers.
    """

    sources: dict[str, str] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    text_field: str = "text"
    damaged: Literal["skip", "stop"] = "skip"
    max_bytes: int = 0
    task_bytes: int = 64_000_000

    def __post_init__(self) -> None:
        for domain, spec in self.sources.items():
            named = bool(DOMAIN.fullmatch(domain))
            require(named, "DataConfig.sources", domain, "domain names like 'zh_news' ([a-z][a-z0-9_]*)")
            require(bool(spec.strip()), f"DataConfig.sources[{domain!r}]", spec, "a path, a glob, demo:... or tfds:...")
        require(bool(self.text_field), "DataConfig.text_field", self.text_field, "the name of a field")
        require(self.damaged in ("skip", "stop"), "DataConfig.damaged", self.damaged, "'skip' or 'stop'")
        require(self.max_bytes >= 0, "DataConfig.max_bytes", self.max_bytes, "bytes, or 0 for no limit")
        require(self.task_bytes > 0, "DataConfig.task_bytes", self.task_bytes, "bytes, 1 at least")
