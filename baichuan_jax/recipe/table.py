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
from baichuan_jax.recipe.stages.tune import TUNE

STAGES: dict[str, StageSpec[Any]] = {
    spec.name: spec for spec in (DATA, TOKENIZER, TOKENS, TRAIN, TUNE, EVALUATE, GENERATE, REPORT)
}


def wanted(config: RunConfig) -> tuple[str, ...]:
    """Return the stages that a config has, in the order they run."""
    return tuple(name for name, spec in STAGES.items() if spec.wanted(config))


def model_stage(config: RunConfig) -> str:
    """Return the stage whose checkpoints the run's model has."""
    return "tune" if config.instruction.sources else "train"


def needs_of(name: str, config: RunConfig) -> tuple[str, ...]:
    """Return the stages that a stage reads."""
    needs, there = STAGES[name].needs, wanted(config)
    if needs is not None:
        return tuple(need for need in (needs(config) if callable(needs) else needs) if need in there)
    before = [each for each in there if list(STAGES).index(each) < list(STAGES).index(name)]
    read = {need for each in before for need in needs_of(each, config)}
    return tuple(each for each in before if each not in read)


def made_from(name: str, config: RunConfig) -> tuple[str, ...]:
    """Return the stages that are made from a stage, or from one that is."""
    found = {name}
    for each in STAGES:
        if found & set(needs_of(each, config)):
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
