"""Settings as `--help` lists them."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import fill
from typing import Any

from baichuan_jax.config.literal import literal, parts, values
from baichuan_jax.core.settings import help_of


def settings_text(sections: Iterable[type[Any]]) -> str:
    """Return the settings of dataclasses and of the sections in them, with their defaults and help texts."""
    lines = []
    for part in (part for section in sections for part in parts(section())):
        help = help_of(type(part))
        for field, value in values(part).items():
            lines.append(f"  {type(part).__name__}.{field}={literal(value)}")
            lines.append(fill(help.get(field, ""), 100, initial_indent=" " * 6, subsequent_indent=" " * 6))
    return "\n".join(["settings (--set), with their defaults:", *lines]) if lines else ""
