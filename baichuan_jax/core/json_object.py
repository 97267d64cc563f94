"""JSON objects that others have written: read whole, and field by field with type checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from reprlib import repr as shown  # a value may be nested deeper than `repr` goes, or megabytes long
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json
from baichuan_jax.core.settings import LARGEST


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file. Raise UserError if the file is missing or holds anything else."""
    try:
        value = read_json(path)
    except FileNotFoundError:
        raise UserError(f"there is no {path}") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged: it cannot be read as JSON ({error})") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: it does not contain a JSON object")
    return value


class Fields:
    """The fields of a JSON object, where null means absent.

    Each method returns a field as one type, or the default if it is absent. Raise UserError, naming the field and what
    was expected, if it is of another type, or absent without a default.
    """

    def __init__(self, values: dict[str, Any], where: str):
        self._values, self.where = values, where

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number above 0."""
        fits = lambda value: _is_number(value, int | float) and 0 < value <= LARGEST
        return float(self._field(name, default, fits, f"a positive number up to {LARGEST:.1e}"))

    def share(self, name: str, default: float | None = None) -> float:
        """Return a number in [0, 1)."""
        fits = lambda value: _is_number(value, int | float) and 0 <= value < 1
        return float(self._field(name, default, fits, "a share in [0, 1)"))

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number above 0."""
        return self._field(name, default, lambda value: _is_number(value, int) and value > 0, "a positive whole number")

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        return self._field(name, default, lambda value: isinstance(value, bool), "true or false")

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text that UTF-8 can encode."""
        return self._field(name, default, _is_text, "a text")

    def only(self, allowed: dict[str, Any]) -> None:
        """Raise UserError if one of these fields has a value other than the supported one."""
        for name, value in allowed.items():
            found = self._values.get(name)
            if found is not None and found != value:
                expected = "null" if value is None else repr(value)
                raise UserError(f"{self.where}: {name} = {shown(found)} is not supported; expected {expected}")

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def _field(self, name: str, default: Any, fits: Callable[[Any], bool], expected: str) -> Any:
        value = self._values.get(name)
        value = default if value is None else value
        if value is None:
            raise UserError(f"{self.where} is missing {name!r}: expected {expected}")
        if not fits(value):
            raise UserError(f"{self.where}: {name} = {shown(value)}: expected {expected}")
        return value


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    """Return whether a value is a text, and holds no half of a surrogate pair, which JSON can spell."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False
