"""Check a literal against a type annotation, and convert equivalent spellings (a list for a tuple)."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from baichuan_jax.core.settings import LARGEST
from baichuan_jax.core.suggest import did_you_mean


class Mismatch(Exception):
    """A value does not fit its annotation; the message says what was expected.

    deep: the value has the right shape and an item inside it does not fit.
    """

    def __init__(self, message: str, deep: bool = False):
        super().__init__(message)
        self.deep = deep


def convert(value: Any, annotation: Any) -> Any:
    """Return `value` as the annotated type, or raise Mismatch.

    Annotations may be int, float, bool, str, None, Literal, tuple[...], dict[...] and unions of these; any other is a
    TypeError. Converted are int to float, whole floats to int (1e9), and lists to tuples; a bool is never a number, and
    a float never NaN, infinity, or what float32 would make infinity of.
    """
    if annotation in (int, float, bool, str, NoneType):
        return _scalar(value, annotation)
    origin = get_origin(annotation)
    if origin not in _CONVERTERS:
        raise TypeError(f"a config field may not be annotated {annotation}: see baichuan_jax/config/typecheck.py")
    return _CONVERTERS[origin](value, annotation)


def describe(annotation: Any) -> str:
    """Return the annotation in words, as in "int or None" and "tuple[str, ...]"."""
    *rest, last = _alternatives(annotation)
    return f"{', '.join(rest)} or {last}" if rest else last


def _scalar(value: Any, kind: type) -> Any:
    if kind is float and type(value) in (int, float):
        if not abs(value) <= LARGEST:
            raise Mismatch(f"expected a number of at most {LARGEST:.1e}", deep=True)
        return float(value)
    if kind is int and type(value) is float and value.is_integer():
        return int(value)
    if type(value) is kind:
        return value
    raise _mismatch(value, kind)


def _literal(value: Any, annotation: Any) -> Any:
    for choice in get_args(annotation):
        if type(choice) is type(value) and choice == value:
            return value
    raise _mismatch(value, annotation)


def _tuple(value: Any, annotation: Any) -> tuple:
    if not isinstance(value, list | tuple):
        raise _mismatch(value, annotation)
    kinds = get_args(annotation)
    if kinds[-1:] == (...,):
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise Mismatch(f"expected {describe(annotation)}, got length {len(value)}")
    return tuple(_item(f"item {i}", *pair) for i, pair in enumerate(zip(value, kinds)))


def _dict(value: Any, annotation: Any) -> dict:
    if not isinstance(value, dict):
        raise _mismatch(value, annotation)
    key_kind, value_kind = get_args(annotation)
    return {
        _item(f"key {key!r}", key, key_kind): _item(f"value of {key!r}", item, value_kind)
        for key, item in value.items()
    }


def _union(value: Any, annotation: Any) -> Any:
    """Convert to the first member that takes `value` unchanged, else to the first that takes it at all."""
    converted, mismatches = [], []
    for member in get_args(annotation):
        try:
            converted.append(convert(value, member))
        except Mismatch as mismatch:
            mismatches.append(mismatch)
    for candidate in converted:
        if type(candidate) is type(value) and candidate == value:
            return candidate
    if converted:
        return converted[0]
    deep = [mismatch for mismatch in mismatches if mismatch.deep]
    raise deep[0] if deep else _mismatch(value, annotation)


_CONVERTERS = {tuple: _tuple, dict: _dict, Literal: _literal, Union: _union, UnionType: _union}


def _item(label: str, value: Any, annotation: Any) -> Any:
    try:
        return convert(value, annotation)
    except Mismatch as mismatch:
        raise Mismatch(f"{label}: {mismatch}", deep=True) from None


def _mismatch(value: Any, annotation: Any) -> Mismatch:
    choices = [choice for choice in _choices(annotation) if isinstance(choice, str)]
    if isinstance(value, str) and choices:
        return Mismatch(f"expected {describe(annotation)}, got {value!r}{did_you_mean(value, choices)}")
    # Text that was to be a list or dict: the shell has taken its quotes, or it never had them.
    hint = " (strings in it need quotes)" if isinstance(value, str) and value[:1] in tuple("{[(") else ""
    return Mismatch(f"expected {describe(annotation)}, got {'None' if value is None else type(value).__name__}{hint}")


def _choices(annotation: Any) -> list[Any]:
    """Return the literals that the annotation allows."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return [choice for member in get_args(annotation) for choice in _choices(member)]
    return []


def _alternatives(annotation: Any) -> list[str]:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return [words for member in args for words in _alternatives(member)]
    if origin is Literal:
        return [repr(choice) for choice in args]
    if origin in (tuple, dict):
        return [f"{origin.__name__}[{', '.join('...' if arg is ... else describe(arg) for arg in args)}]"]
    return {bool: ["True", "False"], NoneType: ["None"]}.get(annotation) or [annotation.__name__]
