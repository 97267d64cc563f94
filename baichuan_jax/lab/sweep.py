"""Sweeps: lists of settings built by combinators, and resumable units of work, one per point of a sweep.

product(values("vocab", (8_000, 64_000)), values("seed", range(3))) is a sweep of six points.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from functools import reduce
from itertools import product as cartesian
from pathlib import Path
from statistics import mean
from typing import Any

from baichuan_jax.core.files import digest
from baichuan_jax.core.stage import Stage
from baichuan_jax.lab.numbers import duration

Point = dict[str, Any]  # setting -> a value that repr() writes in full
Sweep = list[Point]  # two sweeps, one after the other: a + b
Progress = Callable[[str, int, int], None]  # what is being done, units done, units in all


def values(name: str, options: Iterable[Any]) -> Sweep:
    """Return one point for each value of a setting."""
    return [{name: option} for option in options]


def product(*sweeps: Sweep) -> Sweep:
    """Return every combination of a point of each sweep; the last varies fastest."""
    # dict(**a, **b) raises TypeError on a setting that two sweeps have.
    return [reduce(lambda one, other: dict(**one, **other), points, {}) for points in cartesian(*sweeps)]


def run_units(
    directory: Path, sweep: Sweep, build: Callable[[Point, Path], dict], progress: Progress, kind: str = "unit"
) -> list[dict]:
    """Return the result of `build(point, folder)` for each point, in order; finished units are not built again.

    A unit is a stage in `directory`/KIND-POINT-DIGEST: result.json and manifest.json are written when it is finished.
    An interrupted unit gets the same folder again and may continue from its content. A point must contain everything
    that affects the result, with digests in place of file contents. build: returns JSON values.
    """
    results, built, left = [], [], ""
    for number, point in enumerate(sweep):
        progress(f"done{left}; {kind} {describe(point, sweep)}".rstrip(), number, len(sweep))
        start = time.monotonic()
        result, was_there = unit(directory, kind, point).run(lambda folder, point=point: build(point, folder))
        results.append(result)
        if not was_there:
            built.append(time.monotonic() - start)
            left = f", about {duration(mean(built) * (len(sweep) - number - 1))} left"
    progress("done", len(sweep), len(sweep))
    return results


def unit(directory: Path, kind: str, point: Point) -> Stage:
    """Return the stage of one point."""
    settings = tuple(f"{name} = {value!r}" for name, value in point.items())
    label = re.sub(r"[^\w.=-]+", "_", "-".join([kind, *(f"{name}={value}" for name, value in point.items())]))
    return Stage(
        name=kind,
        directory=directory / f"{label[:80]}-{digest(repr(settings))}",
        settings=settings,
        unfinished="resume",
    )


def describe(point: Point, sweep: Sweep) -> str:
    """Return the settings in which a point differs from others of its sweep: "vocab 8000, seed 1"; no dicts."""
    brief = [name for name, value in point.items() if not isinstance(value, dict)]
    apart = [name for name in brief if any(other.get(name) != point[name] for other in sweep)]
    return ", ".join(f"{name} {point[name]}" for name in apart)
