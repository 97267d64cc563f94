"""Tests run in one process and call the functions of the program in another through pipes.

What a program does to its interpreter (replaced builtins, objects that equal everything, a false claim of success)
stays there. A test sees only plain data from the program, and the program sees only arguments.
"""

from __future__ import annotations

import builtins
import importlib
import types
from collections.abc import Callable
from typing import Any, BinaryIO

from baichuan_jax.evaluate.sandbox.child.values import dump, load

RETURNED, RAISED = "returned", "raised"
# What tests may find imported as the program imported it: modules that compute, and do nothing when they are imported.
MODULES = frozenset(
    "array bisect calendar cmath collections copy dataclasses datetime decimal enum fractions functools hashlib heapq "
    "itertools json math numbers operator random re statistics string textwrap time typing unicodedata".split()
)


def answer(define: Callable[[], dict[str, Any]], requests: BinaryIO, replies: BinaryIO) -> None:
    """In the program's process: run it, describe its names, and call its functions on request."""

    def reply(make: Callable[[], Any]) -> None:
        try:
            line = dump([RETURNED, make()])
        except Exception as error:
            line = dump([RAISED, [type(error).__name__, str(error)]])
        _send(replies, line)

    names: dict[str, Any] = {}
    reply(lambda: names.update(define()) or {name: _described(name, value) for name, value in names.items()})
    for line in requests:
        name, positional, named = load(line)
        reply(lambda: names[name](*positional, **named))  # noqa: B023


def _described(name: str, value: Any) -> tuple[str, Any]:
    """Return the description of a value for the tests: ("data", value), ("module", None) or ("function", None)."""
    if isinstance(value, types.ModuleType) and value.__name__ == name and name in MODULES:
        return "module", None
    try:
        dump(value)
    except TypeError:
        return "function", None
    return "data", value


def names_of(requests: BinaryIO, replies: BinaryIO) -> dict[str, Any]:
    """In the tests' process: return the program's names, with functions that call it. Raise what it raised.

    Names of builtins are ignored. Only data is trusted: the program may have written the line itself, and may claim
    that any name is a module.
    """

    def function(name: str) -> Callable[..., Any]:
        def ask(*positional: Any, **named: Any) -> Any:
            _send(requests, dump([name, positional, named]))
            return _heard(replies)

        ask.__name__ = name
        return ask

    make = {"data": lambda name, value: value, "module": lambda name, _: importlib.import_module(name)}
    return {
        name: make.get(kind, lambda name, _: function(name))(name, value)
        for name, (kind, value) in _heard(replies).items()
        if name not in vars(builtins) and not name.startswith("__") and (kind != "module" or name in MODULES)
    }


def _send(pipe: BinaryIO, line: str) -> None:
    pipe.write(line.encode() + b"\n")
    pipe.flush()


def _heard(replies: BinaryIO) -> Any:
    """Return the returned value, or raise the builtin exception of the raised one's name.

    Exceptions that end loops (StopIteration and the like) are replaced, as they would end a test early.
    """
    if not (line := replies.readline()):
        raise RuntimeError("the program ended before its tests")
    kind, value = load(line)
    if kind == RETURNED:
        return value
    name, text = value
    error = vars(builtins).get(name)
    known = isinstance(error, type) and issubclass(error, Exception)
    raise (
        error(text)
        if known and not issubclass(error, StopIteration | StopAsyncIteration)
        else RuntimeError(f"{name}: {text}")
    )
