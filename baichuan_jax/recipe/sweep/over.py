"""The points of a sweep, from texts such as "TrainConfig.seed=range(3)"."""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from math import prod
from typing import Any

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.lab.sweep import Point, Sweep, product, values
from baichuan_jax.recipe.sweep.config import SweepConfig

SEED = "TrainConfig.seed"


def points_of(cfg: SweepConfig) -> Sweep:
    """Return the points of a sweep in a stable order; those that differ in the seed alone stand together.

    Draws of fewer combinations are the first of those of more.
    """
    axes = _axes(cfg.over)
    seeds = values(SEED, axes.pop(SEED)) if SEED in axes else [{}]
    lengths = [len(options) for options in axes.values()]
    if cfg.zip:
        told = ", ".join(f"{name}: {length}" for name, length in zip(axes, lengths))
        require(len(set(lengths)) < 2, "SweepConfig.over", cfg.over, f"as many values of each setting ({told}) to zip")
        combined = [dict(zip(axes, each)) for each in zip(*axes.values())] or [{}]
    elif 0 < cfg.random < prod(lengths):
        combined = [_combination(axes, number) for number in _draws(prod(lengths), cfg.random)]
    else:
        combined = product(*(values(name, options) for name, options in axes.items()))
    return product(combined, seeds)


def apart_from_seed(point: Point) -> Point:
    """Return the settings of a point that its seeds share."""
    return {name: value for name, value in point.items() if name != SEED}


def _axes(over: Sequence[str]) -> dict[str, list[Any]]:
    if not over:
        raise UserError(
            "a sweep needs settings to vary: --over 'OptimConfig.peak_lr=[1e-3, 2e-3]' "
            "--over 'TrainConfig.seed=range(3)', or SweepConfig.over in a file"
        )
    axes: dict[str, list[Any]] = {}
    for text in over:
        name, equals, options = (part.strip() for part in text.partition("="))
        where = f"--over {text}"
        if not equals:
            raise UserError(f"{where}: expected NAME.FIELD=VALUES, as in --over 'OptimConfig.peak_lr=[1e-3, 2e-3]'")
        if name in axes:
            raise UserError(f"{where}: {name} is varied twice; give all its values at once")
        axes[name] = _options(options, where)
    return axes


def _options(text: str, where: str) -> list[Any]:
    """Return the values of a list, a tuple or a range."""
    expected = f"{where}: expected a list of values, as in [1e-3, 2e-3], or a range, as in range(3)"
    try:
        tree = ast.parse(text, mode="eval").body
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "range":
            found = list(range(*map(ast.literal_eval, tree.args)))
        elif isinstance(tree, ast.List | ast.Tuple):
            found = list(ast.literal_eval(tree))
        else:
            raise UserError(expected)
    except (SyntaxError, TypeError, ValueError) as error:
        raise UserError(f"{expected} (strings need quotes)") from error
    if not found:
        raise UserError(f"{where}: there is no value in it")
    if len({repr(value) for value in found}) < len(found):
        raise UserError(f"{where}: a value is there twice")
    return found


def _combination(axes: dict[str, list[Any]], number: int) -> Point:
    """Return one of all combinations by its number; the last setting varies fastest."""
    found = {}
    for name, options in reversed(axes.items()):
        number, place = divmod(number, len(options))
        found[name] = options[place]
    return {name: found[name] for name in axes}


def _draws(total: int, count: int) -> list[int]:
    """Return different numbers below `total`, the same at every call."""
    rng, found = random.Random(0), dict[int, None]()
    while len(found) < count:
        found[rng.randrange(total)] = None
    return list(found)
