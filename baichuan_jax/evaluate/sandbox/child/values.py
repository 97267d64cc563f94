"""Serialisation of plain data. Loaded values have exact builtin types, so their comparisons can be trusted."""

from __future__ import annotations

import json
import sys
from typing import Any

TAG = "type"
KINDS = {"tuple": tuple, "set": set, "frozenset": frozenset, "bytes": bytes, "bytearray": bytearray}


def dump(value: Any) -> str:
    """Return data as one line. Raise TypeError for anything but None, numbers, texts, bytes and collections."""
    sys.set_int_max_str_digits(0)
    return json.dumps(_plain(value))


def load(line: str | bytes) -> Any:
    """Return the data of a line."""
    return json.loads(line, object_hook=_value)


def _plain(value: Any) -> Any:
    """Return data as lists and one-key dicts; a value of a subclass of a plain type becomes the plain type."""
    if value is None or value is True or value is False:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind.__new__(kind, value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {TAG: "dict", "of": [[_plain(key), _plain(item)] for key, item in value.items()]}
    if isinstance(value, complex):
        return {TAG: "complex", "of": [value.real, value.imag]}
    for name, kind in KINDS.items():
        if isinstance(value, kind):
            return {TAG: name, "of": [_plain(item) for item in value]}
    raise TypeError(f"{type(value).__name__} is no plain data, which alone goes between a program and its tests")


def _value(tagged: dict[str, Any]) -> Any:
    kind, items = tagged[TAG], tagged["of"]
    if kind == "complex":
        return complex(*items)
    return dict(map(tuple, items)) if kind == "dict" else KINDS[kind](items)
