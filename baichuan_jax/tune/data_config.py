"""Settings of the conversations to tune on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.data.config import DOMAIN

AUTO = "auto"
# Format -> the fields it needs, those it may have, and those of each turn, by the names that they usually have.
FORMATS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "messages": (("messages",), ("system",), ("role", "content")),
    "sharegpt": (("conversations",), ("system",), ("from", "value")),
    "alpaca": (("instruction", "output"), ("input", "system", "history"), ()),
    "prompt": (("prompt", "response"), ("system",), ()),
}
FIELDS = tuple(dict.fromkeys(name for parts in FORMATS.values() for part in parts for name in part))
ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}


@dataclass(frozen=True)
class InstructionConfig:
    """Conversations to tune on: where they are, how they are written, and what becomes of bad and long ones."""

    sources: dict[str, str] = setting(
        {},
        "source name -> its JSON, JSON lines or Parquet files: a path or glob, several separated by ';', on any "
        "storage that fsspec knows; all but Parquet may be compressed",
    )
    format: str = setting(
        AUTO,
        f"format of the records: {', '.join(FORMATS)} (a plain prompt and response); 'auto' is the one whose fields a "
        "record has",
    )
    formats: dict[str, str] = setting({}, "source name -> format, if not `format`")
    fields: dict[str, str] = setting(
        {},
        f"usual name of a field -> its name in the files, as in {{'instruction': 'question'}}; 'zh.instruction' is "
        f"that of the source zh alone; a name may be a path, 'meta.text'. The usual names are {', '.join(FIELDS)}",
    )
    roles: dict[str, str] = setting(
        {}, f"role in the files -> system, user or assistant, beside those that are known ({', '.join(ROLES)})"
    )
    held_out: float = setting(
        0.02,
        "share of the conversations of each source that is not trained on, for the held-out loss; a conversation's "
        "hash decides, so duplicates stand on one side, whatever else there is; 0: none",
    )
    long: Literal["cut", "drop"] = setting(
        "cut",
        "what becomes of a conversation that does not fit into a sequence: 'cut' leaves out its oldest turns, each a "
        "question and its answer, and drops it if the last one alone is too long; 'drop' drops it. No text is cut, so "
        "the mark that ends an answer is always there",
    )
    max_bad: float = setting(
        0.05, "largest share of the records of a source that may be bad, and are skipped; more is an error"
    )
    packing: bool = setting(
        True, "whether a sequence has several conversations, which do not attend to each other; otherwise it has one"
    )
    weights: dict[str, float] = setting(
        {}, "source name -> share of the tokens, of every source or of none; by default each source has its own"
    )

    def __post_init__(self) -> None:
        for source, spec in self.sources.items():
            named = bool(DOMAIN.fullmatch(source))
            require(named, "InstructionConfig.sources", source, "source names like 'zh_chat' ([a-z][a-z0-9_]*)")
            require(bool(spec.strip("; ")), f"InstructionConfig.sources[{source!r}]", spec, "a path or a glob")
        for name in ("formats", "weights"):
            strange = sorted(getattr(self, name).keys() - self.sources.keys())
            expected = f"sources of InstructionConfig.sources ({', '.join(self.sources)})"
            require(not strange, f"InstructionConfig.{name}", ", ".join(strange), expected)
        missing = sorted(self.sources.keys() - self.weights.keys()) if self.weights else []
        expected = f"a weight for {', '.join(missing)} too; 0 leaves a source out"
        require(not missing, "InstructionConfig.weights", self.weights, expected)
        given = {"format": self.format, **{f"formats[{name!r}]": value for name, value in self.formats.items()}}
        for name, value in given.items():
            known = (AUTO, *FORMATS)
            require(value in known, f"InstructionConfig.{name}", value, f"one of {', '.join(known)}")
        self._check_fields()
        for name, value in self.roles.items():
            expected = "system, user or assistant"
            require(value in ROLES.values(), f"InstructionConfig.roles[{name!r}]", value, expected)
        require(0 <= self.held_out < 1, "InstructionConfig.held_out", self.held_out, "a share in [0, 1)")
        require(self.long in ("cut", "drop"), "InstructionConfig.long", self.long, "'cut' or 'drop'")
        require(0 <= self.max_bad <= 1, "InstructionConfig.max_bad", self.max_bad, "a share in [0, 1]")
        for name, weight in self.weights.items():
            expected = "a number >= 0"
            require(0 <= weight < float("inf"), f"InstructionConfig.weights[{name!r}]", weight, expected)

    def _check_fields(self) -> None:
        for key, name in self.fields.items():
            source, _, field = key.rpartition(".")
            expected = f"one of {', '.join(FIELDS)}, or SOURCE.FIELD"
            hint = did_you_mean(field, FIELDS).removeprefix("; ")
            require(field in FIELDS, "InstructionConfig.fields", key, expected, hint)
            known = not source or source in self.sources
            require(known, "InstructionConfig.fields", key, f"a source of {', '.join(self.sources)} before the dot")
            require(bool(name), f"InstructionConfig.fields[{key!r}]", name, "the name of a field")

    def only(self, source: str) -> InstructionConfig:
        """Return the config of a source without the others."""
        formats = {name: value for name, value in self.formats.items() if name == source}
        fields = {key: name for key, name in self.fields.items() if key.rpartition(".")[0] in ("", source)}
        return replace(self, sources={source: self.sources[source]}, formats=formats, fields=fields, weights={})

    def format_of(self, source: str) -> str:
        """Return the format of a source."""
        return self.formats.get(source, self.format)

    def fields_of(self, source: str) -> dict[str, str]:
        """Return {usual name: name in the files} of every field of a source."""
        return {name: self.fields.get(f"{source}.{name}", self.fields.get(name, name)) for name in FIELDS}
