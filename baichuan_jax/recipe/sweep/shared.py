"""Stages that several points of a sweep share: which runs make them, each on the base of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from baichuan_jax.config.literal import parts, settings
from baichuan_jax.core.files import digest
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import STAGES, needs_of


class SharedRun(NamedTuple):
    """A run that makes stages for several points. stage: the last it makes. stages: those it does not take itself."""

    name: str
    stage: str
    stages: tuple[str, ...]
    points: tuple[int, ...]


def shared_runs(keys: Sequence[Sequence[str]], stages: Sequence[str]) -> list[list[SharedRun]]:
    """Return, for each point, the runs that its stages come from, each based on the one before.

    keys: `stage_keys` of each point.
    """
    by_key: dict[str, list[int]] = {}
    for number, of_point in enumerate(keys):
        for key in of_point:
            by_key.setdefault(key, []).append(number)
    found = []
    for of_point in keys:
        chain: list[SharedRun] = []
        for stage, key in zip(stages, of_point):
            points = tuple(by_key[key])
            if len(points) < 2:
                break
            same = chain.pop().stages if chain and chain[-1].points == points else ()
            chain.append(SharedRun(f"{stage}-{key}", stage, (*same, stage), points))
        found.append(chain)
    return found


def stages_up_to(last: str, config: RunConfig) -> tuple[str, ...]:
    """Return a stage after all that it is made from, in the order they run."""
    found, waiting = {last}, [last]
    while waiting:
        new = set(needs_of(waiting.pop(), config)) - found
        found |= new
        waiting += new
    return tuple(name for name in STAGES if name in found)


def stage_keys(config: RunConfig, last: str) -> tuple[str, ...]:
    """Return, for each stage up to `last`, a digest of the settings that shape it and the stages before it."""
    found, lines = [], ""
    for name in stages_up_to(last, config):
        own = [part for part in parts(config) if type(part) in STAGES[name].sections]
        lines += "\n".join((name, *(line for section in own for part in parts(section) for line in settings(part)), ""))
        found.append(digest(lines))
    return tuple(found)
