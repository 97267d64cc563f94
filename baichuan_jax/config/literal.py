"""Config values as gin text that reads back equal."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


def literal(value: Any) -> str:
    """Return a config value as one line of gin text."""
    match value:
        case dict():
            return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
        case tuple():
            return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


def values(section: Any) -> dict[str, Any]:
    """Return {field: value} of a section or a root, without the sections in it."""
    found = {field.name: getattr(section, field.name) for field in fields(section) if field.init}
    return {name: value for name, value in found.items() if not is_dataclass(value)}


def parts(config: Any) -> list[Any]:
    """Return the root and then its sections, each before its own, in the order of their declaration."""
    inner = filter(is_dataclass, (getattr(config, field.name) for field in fields(config)))
    return [config, *(part for section in inner for part in parts(section))]


def settings(section: Any) -> tuple[str, ...]:
    """Return one gin line per field of a section: "TrainConfig.steps = 300"."""
    name = type(section).__name__
    return tuple(f"{name}.{field} = {literal(value)}" for field, value in values(section).items())


def gin_text(config: Any) -> str:
    """Return gin text that binds every field of a root and its sections, and loads to an equal config."""
    return "\n".join("".join(f"{line}\n" for line in settings(part)) for part in parts(config))
