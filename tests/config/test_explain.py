import io
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

from baichuan_jax.config.explain import print_explain
from baichuan_jax.config.literal import parts, values
from baichuan_jax.config.load import Loaded, load
from baichuan_jax.core.settings import help_of, setting
from baichuan_jax.lab.experiment import class_name, find_experiments
from baichuan_jax.recipe.table import config_class


@dataclass(frozen=True)
class TrainConfig:
    """How to train."""

    steps: int = setting(100, "optimizer updates: each on one batch")
    log_every: int = setting(10, "steps between two lines")
    clip: float = setting(1.0, "shared")
    names: tuple[str, ...] = setting((), "shared")


@dataclass(frozen=True)
class Run:
    workdir: str = "w"
    train: TrainConfig = field(default_factory=TrainConfig)


ORIGINS = {
    "Run.workdir": "--set",
    "TrainConfig.steps": "configs/runs/quickstart.gin:12",
    **dict.fromkeys(("TrainConfig.log_every", "TrainConfig.clip", "TrainConfig.names"), "default"),
}


def printed(loaded, width=80):
    out = io.StringIO()
    print_explain(loaded, Console(file=out, width=width))
    return out.getvalue()


def test_table():
    assert printed(Loaded(Run(), ORIGINS)).splitlines() == [
        "Run",
        "  workdir    'w'  --set",
        "TrainConfig",
        "  steps      100  configs/runs/quickstart.gin:12  optimizer updates: each on one batch",
        "  log_every  10   default                         steps between two lines",
        "  clip       1.0  default                         shared",
        "  names      ()   default                         shared",
    ]


def test_long_values_are_whole_and_push_only_their_own_row():
    names = tuple(f"name-{i}" for i in range(50))
    loaded = Loaded(Run(train=TrainConfig(names=names)), ORIGINS)
    *_, steps, _, _, long = printed(loaded).splitlines()
    assert repr(names) in long
    assert len(steps) < 140


def test_piped_output_is_the_plain_text_at_any_width():
    loaded = Loaded(Run(train=TrainConfig(names=("[red]x[/red]",) * 9)), ORIGINS)
    assert printed(loaded, width=20) == printed(loaded, width=2000)


def experiments() -> list[type]:
    folder = Path(__file__).parents[2] / "experiments"
    return [getattr(import_module(f"experiments.{name}"), class_name(name)) for name in find_experiments(folder)]


@pytest.mark.parametrize("root", [config_class(), *experiments()])
def test_every_setting_has_a_help_text(root):
    lines = printed(load(None, (), root)).splitlines()
    shown = {line[2:] for line in lines if line.startswith("  ")}
    settings = [(part, name) for part in parts(root()) for name in values(part)]
    assert len(shown) == len(settings) > 3
    for part, name in settings:
        text = help_of(type(part)).get(name)
        assert text, f"{type(part).__name__}.{name} has no help text"
        assert any(line.startswith(f"{name} ") and line.endswith(f"  {text}") for line in shown)


def test_a_terminal_gets_colours():
    out = io.StringIO()
    print_explain(Loaded(Run(), ORIGINS), Console(file=out, force_terminal=True, color_system="standard"))
    assert "\x1b[" in out.getvalue()


def test_help_texts_stand_beside_their_fields():
    assert help_of(TrainConfig) == {
        "steps": "optimizer updates: each on one batch",
        "log_every": "steps between two lines",
        "clip": "shared",
        "names": "shared",
    }
    assert help_of(Run) == {}
