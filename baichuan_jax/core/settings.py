"""Fields of config dataclasses with their help text."""

from __future__ import annotations

from dataclasses import field, fields
from functools import partial
from typing import Any

LARGEST = 3.4028234663852886e38  # that float32 holds: a value above it would be computed with as infinity


def setting(default: Any, help: str) -> Any:
    """Return a dataclass field with a help text; each instance has its own copy of a dict.

    `steps: int = setting(1000, "optimizer steps")`
    """
    metadata = {"help": help}
    if isinstance(default, dict):
        return field(default_factory=partial(dict, default), metadata=metadata)
    return field(default=default, metadata=metadata)


def help_of(section: type) -> dict[str, str]:
    """Return {field: help text} of the settings of a dataclass; sections inside it have none."""
    return {each.name: each.metadata["help"] for each in fields(section) if "help" in each.metadata}
