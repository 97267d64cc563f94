"""The table of stages, in the order they run. A new stage is a module in `recipe/stages/` and a name in this list."""

from __future__ import annotations

from dataclasses import field, fields, make_dataclass
from functools import cache
from typing import Any

from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.spec import StageSpec
from baichuan_jax.recipe.stages.data import DATA
from baichuan_jax.recipe.stages.evaluate import EVALUATE
from baichuan_jax.recipe.stages.generate import GENERATE
from baichuan_jax.recipe.stages.report import REPORT
from baichuan_jax.recipe.stages.tokenizer import TOKENIZER
from baichuan_jax.recipe.stages.tokens import TOKENS
from baichuan_jax.recipe.stages.train import TRAIN

STAGES: dict[str, StageSpec[Any]] = {
    spec.name: spec for spec in (DATA, TOKENIZER, TOKENS, TRAIN, EVALUATE, GENERATE, REPORT)
}


def needs_of(name: str) -> tuple[str, ...]:
    """Return the stages that a stage reads."""
    needs = STAGES[name].needs
    if needs is not None:
        return needs
    before = list(STAGES)[: list(STAGES).index(name)]
    read = {need for each in before for need in needs_of(each)}
    return tuple(each for each in before if each not in read)


def made_from(name: str) -> tuple[str, ...]:
    """Return the stages that are made from a stage, or from one that is."""
    found = {name}
    for each in STAGES:
        if found & set(needs_of(each)):
            found.add(each)
    return tuple(each for each in STAGES if each in found and each != name)


def stages_by_verb() -> dict[str, tuple[str, ...]]:
    """Return {verb: the stages it builds}."""
    found: dict[str, tuple[str, ...]] = {}
    for name, spec in STAGES.items():
        verb = spec.verb or name
        found[verb] = (*found.get(verb, ()), name)
    return found


def config_class() -> type[RunConfig]:
    """Return `RunConfig` with the sections that stages have beside it."""
    known = {item.default_factory for item in fields(RunConfig)}
    own = (section for spec in STAGES.values() for section in spec.sections)
    return _extended(tuple(dict.fromkeys(section for section in own if section not in known)))


@cache
def _extended(sections: tuple[type, ...]) -> type[RunConfig]:
    if not sections:
        return RunConfig
    named = [(cls.__name__.removesuffix("Config").lower(), cls, field(default_factory=cls)) for cls in sections]
    return make_dataclass(RunConfig.__name__, named, bases=(RunConfig,), frozen=True)
