"""Settings of a sweep, and the config that holds them beside those of the run."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from functools import cache
from typing import Any, Literal

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from baichuan_jax.recipe.table import config_class


@dataclass(frozen=True)
class SweepConfig:
    """What is varied, what the points are compared by, and what they may use."""

    over: tuple[str, ...] = setting(
        (),
        'settings and their values: "OptimConfig.peak_lr=[1e-3, 2e-3]", "TrainConfig.seed=range(3)"; every combination '
        "is a point",
    )
    zip: bool = setting(False, "pair the values at equal places instead; seeds go with every pair")
    random: int = setting(0, "draw so many of the combinations, each with every seed; 0 takes all")
    metric: str = setting(
        "bits_per_byte",
        "validation figure that points are compared by: 'bits_per_byte' (of all held-out text), 'validation' (as "
        "training ends), either of one domain ('bits_per_byte/NAME'), or 'STAGE.FIELD', a number of another stage",
    )
    goal: Literal["minimize", "maximize"] = setting("minimize", "which values of `metric` are better")
    directory: str = setting("", "directory of the sweep; '' is RunConfig.workdir with '-sweep' behind")
    keep: Literal["best", "all"] = setting("best", "finished points whose checkpoints are kept")
    cores: int = setting(0, "cores of this machine for all points together; 0: those this process may use")
    memory: int = setting(
        0, "gigabytes of this machine for all points together, RunnerConfig.memory each; 0: what is free at the start"
    )
    point_cores: int = setting(1, "cores that a point is pinned to")

    def __post_init__(self) -> None:
        require(self.goal in ("minimize", "maximize"), "SweepConfig.goal", self.goal, "'minimize' or 'maximize'")
        require(self.keep in ("best", "all"), "SweepConfig.keep", self.keep, "'best' or 'all'")
        for name in ("random", "cores", "memory"):
            require(getattr(self, name) >= 0, f"SweepConfig.{name}", getattr(self, name), "0 or more")
        require(self.point_cores >= 1, "SweepConfig.point_cores", self.point_cores, "a number of cores, 1 at least")
        require(not (self.zip and self.random), "SweepConfig.zip", self.zip, "False where SweepConfig.random is set")


@cache
def sweep_class() -> type[Any]:
    """Return the config of a sweep: sections `run` and `sweep`."""
    run = config_class()
    sections = [("run", run, field(default_factory=run)), ("sweep", SweepConfig, field(default_factory=SweepConfig))]
    return make_dataclass("SweepFile", sections, frozen=True)
