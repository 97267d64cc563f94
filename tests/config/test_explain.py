import io
from dataclasses import dataclass, field

from rich.console import Console

from baichuan_jax.config.explain import explain_text, meanings, print_explain
from baichuan_jax.config.literal import parts, values
from baichuan_jax.config.load import Loaded
from baichuan_jax.recipe.run_config import RunConfig


@dataclass(frozen=True)
class TrainConfig:
    """How to train; it has steps: many of them.

    steps: optimizer updates: each on one batch. log_every: steps between
    two lines. clip, names: shared.
    """

    steps: int = 100
    log_every: int = 10
    clip: float = 1.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    workdir: str = "w"
    train: TrainConfig = field(default_factory=TrainConfig)


ORIGINS = {
    "Run.workdir": "--set",
    "TrainConfig.steps": "configs/runs/quickstart.gin:12",
    **dict.fromkeys(("TrainConfig.log_every", "TrainConfig.clip", "TrainConfig.names"), "default"),
}


def test_table():
    assert explain_text(Loaded(Run(), ORIGINS)).splitlines() == [
        "Run",
        "  workdir    'w'  --set",
        "TrainConfig",
        "  steps      100  configs/runs/quickstart.gin:12  optimizer updates: each on one batch.",
        "  log_every  10   default                         steps between two lines.",
        "  clip       1.0  default                         shared.",
        "  names      ()   default                         shared.",
    ]


def test_long_values_are_whole_and_push_only_their_own_row():
    names = tuple(f"name-{i}" for i in range(50))
    loaded = Loaded(Run(train=TrainConfig(names=names)), ORIGINS)
    *_, steps, _, _, long = explain_text(loaded).splitlines()
    assert repr(names) in long
    assert len(steps) < 140


def test_piped_output_is_the_plain_text_at_any_width():
    loaded = Loaded(Run(train=TrainConfig(names=("[red]x[/red]",) * 9)), ORIGINS)
    out = io.StringIO()
    print_explain(loaded, Console(file=out, width=20))
    assert out.getvalue() == explain_text(loaded)


def test_every_setting_has_a_meaning():
    silent = [
        f"{type(part).__name__}.{name}"
        for part in parts(RunConfig())
        for name in values(part)
        if not meanings(type(part)).get(name)
    ]
    assert silent == []


def test_a_terminal_gets_colours():
    out = io.StringIO()
    print_explain(Loaded(Run(), ORIGINS), Console(file=out, force_terminal=True, color_system="standard"))
    assert "\x1b[" in out.getvalue()


def test_meanings_start_sentences_only():
    assert meanings(TrainConfig) == {
        "steps": "optimizer updates: each on one batch.",
        "log_every": "steps between two lines.",
        "clip": "shared.",
        "names": "shared.",
    }
    assert meanings(Run) == {}
