"""Settings of reading."""

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
    """Sources of the data step, and handling of damaged input."""

    sources: dict[str, str] = setting(
        {},
        "domain name -> source of its text: a path or glob ('texts/**/*.jsonl.gz'; several separated by ';', on any "
        "storage that fsspec knows, as in 's3://bucket/*.parquet'), 'demo:NAME' (text from pip packages, the extra "
        "[demo]), or 'tfds:NAME[/CONFIG][:VERSION][@SPLIT]' (a prepared tensorflow-datasets dataset; the split "
        "defaults to train)",
    )
    licences: dict[str, str] = setting(
        {}, "domain name -> licence, for the data card; domains that are not in `sources` are ignored"
    )
    text_field: str = setting(
        "text",
        "field of JSON and tensorflow-datasets examples, or column of CSV and Parquet, that holds the text; "
        "'meta.text' is the field 'text' of the object in 'meta'",
    )
    text_fields: dict[str, str] = setting({}, "domain name -> text field, if not `text_field`")
    encodings: dict[str, str] = setting(
        {},
        "domain name -> encoding of its files, a WHATWG label ('gbk', 'big5', 'shift_jis'); by default the encoding of "
        "each file is UTF-8 if valid, that of its byte order mark or web page, or else detected",
    )
    damaged: Literal["skip", "stop"] = setting(
        "skip",
        "damaged input (a truncated file, a line that is not JSON, undecodable bytes): 'skip' counts and skips it, and "
        "replaces undecodable bytes by U+FFFD; 'stop' makes it an error",
    )
    max_bytes: int = setting(
        0, "raw text read per domain, in UTF-8 bytes; reading stops after the document that reaches it; 0: no limit"
    )
    task_bytes: int = setting(
        64_000_000,
        "bytes of files per task, unless a single file is larger; it determines the shards of the dataset, so choose "
        "it independently of the number of workers",
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
