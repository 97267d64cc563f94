"""Every compiled pattern of the packages that read text, and the places that compile one where no module holds it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import baichuan_jax.data
import baichuan_jax.tokenizer

PACKAGES = (baichuan_jax.data, baichuan_jax.tokenizer)
OPTIONAL = ("ray_cluster", "plot")  # modules that read no text, and need packages that may be absent or are large
FUNCTIONS = {"compile", "sub", "subn", "match", "search", "split", "findall", "finditer", "fullmatch"}


def modules() -> list[ModuleType]:
    """Return the modules of the packages."""
    found = []
    for package in PACKAGES:
        for entry in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not entry.name.endswith(OPTIONAL):
                found.append(importlib.import_module(entry.name))
    return found


def patterns() -> dict[str, re.Pattern]:
    """Return {where: pattern} of all that modules hold, also in tables and classes; each pattern once."""
    found: dict[re.Pattern, str] = {}
    for module in modules():
        for name, value in vars(module).items():
            for where, pattern in _held(value, f"{module.__name__}.{name}", 3):
                found.setdefault(pattern, where)
    return {where: pattern for pattern, where in found.items()}


def _held(value: object, where: str, depth: int) -> Iterator[tuple[str, re.Pattern]]:
    if isinstance(value, re.Pattern):
        yield where, value
    elif depth and isinstance(value, Mapping):
        for key, part in value.items():
            yield from _held(part, f"{where}[{key!r}]", depth - 1)
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for number, part in enumerate(value):
            yield from _held(part, f"{where}[{number}]", depth - 1)
    elif depth and isinstance(value, type) and value.__module__.startswith("baichuan_jax."):
        for name, part in vars(value).items():
            yield from _held(part, f"{where}.{name}", depth - 1)


def compiled_in_functions() -> set[str]:
    """Return "module.function" of every function that compiles or uses a pattern written there."""
    found = set()
    for module in modules():
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        for function in (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda))):
            if any(_compiles(node) for node in ast.walk(function)):
                found.add(f"{module.__name__}.{getattr(function, 'name', 'lambda')}")
    return found


def _compiles(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    return (
        node.func.attr in FUNCTIONS and isinstance(node.func.value, ast.Name) and node.func.value.id in ("re", "regex")
    )
