from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.config import files
from baichuan_jax.config import load as config
from baichuan_jax.config.literal import literal, settings
from baichuan_jax.config.load import load
from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.settings import LARGEST
from baichuan_jax.recipe.run_config import RunConfig


@dataclass(frozen=True)
class TrainConfig:
    steps: int = 100
    log_every: int = 10
    clip: float | None = 1.0
    resume: bool = True

    def __post_init__(self) -> None:
        require(self.steps > 0, "TrainConfig.steps", self.steps, "a positive int")
        require(
            self.log_every <= self.steps,
            "TrainConfig.log_every",
            self.log_every,
            f"at most TrainConfig.steps {self.steps}",
        )


@dataclass(frozen=True)
class OptimConfig:
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    schedule: Literal["cosine", "linear"] = "cosine"


@dataclass(frozen=True)
class MixConfig:
    weights: dict[str, float] = field(default_factory=dict)
    nested: dict[str, dict[int, tuple[str | None, ...]]] = field(default_factory=dict)
    axes: str | tuple[str, ...] | None = None


@dataclass(frozen=True)
class Run:
    workdir: str
    seed: int = 0
    train: TrainConfig = field(default_factory=TrainConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    mix: MixConfig = field(default_factory=MixConfig)

    def __post_init__(self) -> None:
        require(self.seed != self.train.steps, "Run.seed", self.seed, "another number than TrainConfig.steps")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def loaded(text: str, *overrides: str, root: type = Run):
    return load(write("x.gin", text), ["Run.workdir=w", *overrides], root)


def error(text: str, *overrides: str, root: type = Run) -> str:
    with pytest.raises(UserError) as caught:
        loaded(text, *overrides, root=root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_blocks_macros_and_containers():
    write(
        "configs/base.gin",
        "# base\nDIM = 256\nTrainConfig:\n  steps = %DIM  # here\n  log_every = 5\n\n"
        "MixConfig.weights = {\n    'zh': %DIM,  # Chinese\n    'en': 1,\n}\nOptimConfig.betas = [0.5, 1]\n",
    )
    path = write("configs/runs/x.gin", "include '../base.gin'\nRun.workdir = 'runs/x'\nTrainConfig.log_every = 7\n")
    result = load(path, (), Run)
    assert result.config == Run(
        "runs/x",
        train=TrainConfig(256, 7),
        optim=OptimConfig(betas=(0.5, 1.0)),
        mix=MixConfig(weights={"zh": 256.0, "en": 1.0}),
    )
    assert result.origins["TrainConfig.steps"] == "configs/base.gin:4 via %DIM at configs/base.gin:2"
    assert result.origins["TrainConfig.log_every"] == "configs/runs/x.gin:3"
    assert result.origins["MixConfig.weights"] == "configs/base.gin:7 via %DIM at configs/base.gin:2"
    assert result.origins["TrainConfig.clip"] == "default"
    assert set(result.origins) == {line.split(" = ")[0] for line in result.text.splitlines() if line}


def test_the_last_macro_wins_wherever_it_is_used():
    write("base.gin", "DIM = 1\nTrainConfig.log_every = 1\nTrainConfig.steps = %DIM\n")
    assert loaded("include 'base.gin'\nDIM = 2\n").config.train.steps == 2
    result = loaded("include 'base.gin'\nDIM = 2\n", "DIM=3")
    assert result.config.train.steps == 3
    assert result.origins["TrainConfig.steps"] == "base.gin:3 via %DIM at --set DIM=3"


def test_macros_of_macros():
    result = loaded("A = %B\nB = 40\nTrainConfig.steps = %A\n")
    assert result.config.train.steps == 40
    assert result.origins["TrainConfig.steps"] == "x.gin:3 via %A at x.gin:1 via %B at x.gin:2"


def test_configs_load_from_anywhere(here, monkeypatch):
    path = write("configs/x.gin", "Run.workdir = 'w'\n").resolve()
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert load(path, (), Run).origins["Run.workdir"] == f"{path}:1"
    monkeypatch.setattr(files, "SHIPPED", here)
    assert load("configs/x.gin", (), Run).config.workdir == "w"


@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("Run.workdir=/tmp/x", "workdir", "/tmp/x"),
        ("Run.workdir='7'", "workdir", "7"),
        ("Run.workdir=a=b", "workdir", "a=b"),
        ("Run.workdir=", "workdir", ""),
        ("Run.workdir = two words ", "workdir", "two words"),
        ("Run.seed=1e3", "seed", 1000),
        ("Run.seed=-1", "seed", -1),
    ],
)
def test_overrides(override, name, value):
    result = loaded("Run.seed = 5\n", override)
    assert getattr(result.config, name) == value
    assert result.origins[f"Run.{name}"] == "--set"


def test_later_overrides_win_and_containers_parse():
    result = loaded(
        "", "MixConfig.weights={'zh': 1}", "MixConfig.weights={'en': 2, 'zh': None}", "MixConfig.weights={}"
    )
    assert result.config.mix.weights == {}
    assert loaded("", "OptimConfig.betas=[0, 1]").config.optim.betas == (0.0, 1.0)
    assert loaded("", "MixConfig.axes=auto").config.mix.axes == "auto"


FIELDS = "Its fields: steps, log_every, clip, resume"


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("TrainConfig.step=3", f"TrainConfig has no field 'step'; did you mean 'steps'? {FIELDS}"),
        (
            "TrainConfig.learning_rate=3",
            f"TrainConfig has no field 'learning_rate'; did you mean OptimConfig.learning_rate? {FIELDS}",
        ),
        ("TrainConfig.zzz=3", f"TrainConfig has no field 'zzz'. {FIELDS}"),
        (
            "TrainConfg.steps=3",
            "there is no section 'TrainConfg'; did you mean 'TrainConfig'? "
            "Sections: Run, TrainConfig, OptimConfig, MixConfig",
        ),
        ("Zzz.steps=3", "there is no section 'Zzz'. Sections: Run, TrainConfig, OptimConfig, MixConfig"),
        ("Run.train=3", "Run.train is a section; bind its fields, as in TrainConfig.steps = ..."),
        ("a/TrainConfig.steps=3", "gin scopes ('a/') are not supported; bind TrainConfig.steps itself"),
        ("steps=3", "the macro 'steps' is never used; did you mean TrainConfig.steps?"),
        ("DIMM=3", "the macro 'DIMM' is never used; did you mean the macro 'DIM'?"),
        ("Q=3", "the macro 'Q' is never used; a field is bound as Section.field = value"),
        ("TrainConfig.steps=%DIMM", "there is no macro 'DIMM'; did you mean 'DIM'?"),
    ],
)
def test_unknown_names(binding, message):
    base = "DIM = 50\nTrainConfig.clip = %DIM\n"
    assert error(base, binding) == f"--set {binding}: {message}"
    assert error(base + binding + "\n") == f"x.gin:3: {message}"


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("TrainConfig.steps = '300'", "TrainConfig.steps = '300' (x.gin:1): expected int, got str"),
        (
            "OptimConfig.schedule = 'cosin'",
            "OptimConfig.schedule = 'cosin' (x.gin:1): "
            "expected 'cosine' or 'linear', got 'cosin'; did you mean 'cosine'?",
        ),
        (
            "MixConfig.weights = {'zh': 'a'}",
            "MixConfig.weights = {'zh': 'a'} (x.gin:1): value of 'zh': expected float, got str",
        ),
        (
            "TrainConfig.steps = %A\nA = 'a'",
            "TrainConfig.steps = 'a' (x.gin:1 via %A at x.gin:2): expected int, got str",
        ),
    ],
)
def test_types(binding, message):
    assert error(binding) == message


def test_types_of_overrides():
    assert (
        error("", "TrainConfig.steps=abc")
        == "TrainConfig.steps = 'abc' (--set TrainConfig.steps=abc): expected int, got str"
    )


@pytest.mark.parametrize("override", ["TrainConfig.steps", "=3", "%DIM=3", "Train Config.steps=3"])
def test_malformed_overrides(override):
    assert error("", override) == f"--set {override}: expected Section.field=value, as in --set TrainConfig.steps=300"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nTrainConfig.steps = ", "x.gin:2: cannot read 'TrainConfig.steps =': Unable to parse value"),
        (
            "Run.workdir = runs",
            "x.gin:1: cannot read 'Run.workdir = runs': Failed to parse token 'runs'; strings need quotes",
        ),
        (
            "MixConfig.weights = {\n  'a': @b.c()}",
            "x.gin:2: cannot read \"'a': @b.c()}\": gin references (@b.c) are not supported; write a literal",
        ),
        (
            "MixConfig.weights = {[1]: 2}",
            "x.gin:1: cannot read 'MixConfig.weights = {[1]: 2}': unhashable type: 'list'",
        ),
        ("MixConfig.weights = {\n'a': 1", "x.gin:3: cannot read the end: EOF in multi-line statement"),
        ("Run.seed 3", "x.gin:1: cannot read 'Run.seed 3': Couldn't parse statement, expected ':' or '='"),
        (
            "TrainConfig:\n    steps = 3\n  clip = 2",
            "x.gin:3: cannot read 'clip = 2': unindent does not match any outer indentation level",
        ),
        ("import os", "x.gin:1: a config file may not import ('import os'); remove the line"),
        ("from a import b", "x.gin:1: a config file may not import ('from a import b'); remove the line"),
        ("A = [%B]\nB = %A\nTrainConfig.clip = %A", "x.gin:1: macro cycle: %A -> %B -> %A"),
    ],
)
def test_what_gin_or_we_cannot_read(text, message):
    assert error(text) == message


def test_errors_of_sections_name_where_their_fields_were_set():
    assert error("TrainConfig.steps = 0") == (
        "TrainConfig.steps = 0: expected a positive int (TrainConfig.steps: x.gin:1)"
    )
    assert error("TrainConfig.steps = 5", "TrainConfig.log_every=6") == (
        "TrainConfig.log_every = 6: expected at most TrainConfig.steps 5 "
        "(TrainConfig.log_every: --set TrainConfig.log_every=6, TrainConfig.steps: x.gin:1)"
    )
    assert error("TrainConfig.steps = 5").endswith("steps 5 (TrainConfig.steps: x.gin:1)")
    assert error("Run.seed = 100").endswith("than TrainConfig.steps (Run.seed: x.gin:1)")


def test_a_field_without_value():
    with pytest.raises(UserError, match=r"^Run.workdir has no value: bind it .* --set Run.workdir=\.\.\.$"):
        load(write("x.gin", ""), (), Run)


def test_include_errors():
    assert error("\ninclude 'zzz.gin'") == "x.gin:2: no such config file: 'zzz.gin'; found beside it: x.gin"
    write("base.gin", "include 'x.gin'")
    assert error("include 'bsae.gin'") == "x.gin:1: no such config file: 'bsae.gin'; did you mean base.gin?"
    assert error("include 'base.gin'") == "base.gin:1: include cycle: x.gin -> base.gin -> x.gin"
    Path("parts").mkdir()
    assert error("include 'parts'") == "x.gin:1: parts is a directory; choose a .gin file in it: none"


def test_a_file_may_be_included_twice():
    write("base.gin", "Run.seed = 1\n")
    assert loaded("include 'base.gin'\nRun.seed = 2\ninclude 'base.gin'\n").config.seed == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("configs/runs/quikstart.gin", "no such config file: {!r}; did you mean configs/runs/quickstart.gin?"),
        ("quikstart", "no such config: {!r}; did you mean quickstart?"),
        ("configs/runs/zzz.gin", "no such config file: {!r}; found beside it: configs/runs/quickstart.gin"),
        ("nowhere/zzz.gin", "no such config file: {!r}"),
        ("configs/runs", "configs/runs is a directory; choose a .gin file in it: quickstart.gin"),
        ("latin.gin", "latin.gin:2: not UTF-8 (invalid continuation byte); save the file as UTF-8"),
    ],
)
def test_unreadable_files(path, message, here, monkeypatch):
    monkeypatch.setattr(files, "SHIPPED", here)
    write("configs/runs/quickstart.gin", "")
    Path("latin.gin").write_bytes(b"\nRun.workdir = 'caf\xe9'\n")
    with pytest.raises(UserError) as caught:
        load(path, (), Run)
    assert str(caught.value) == message.format(path)


def test_one_load_leaves_nothing_for_the_next():
    train = make_dataclass("TrainConfig", [("rounds", int, 1)], frozen=True)
    other = make_dataclass("Run", [("workdir", str, ""), ("train", train, field(default_factory=train))], frozen=True)
    assert loaded("TrainConfig.steps = 70\n").config.train.steps == 70
    assert loaded("TrainConfig.rounds = 7\n", root=other).config.train.rounds == 7
    assert loaded("").config.train.steps == 100
    assert "has no field 'steps'" in error("TrainConfig.steps = 7", root=other)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([(name, TrainConfig, field(default_factory=TrainConfig)) for name in "ab"], "different names"),
        ([("train", TrainConfig, field(default_factory=lambda: TrainConfig(5)))], "needs default_factory=TrainConfig"),
        ([("any", object, 3)], "may not be annotated"),
    ],
)
def test_roots_that_are_programming_errors(sections, message):
    root = make_dataclass("Run", [("workdir", str, ""), *sections])
    with pytest.raises(TypeError, match=message):
        loaded("", root=root)


def test_sections_nest():
    """A section of a section is bound, checked, rebuilt and named like any other."""
    inner = make_dataclass("Inner", [("size", int, 1)], frozen=True)
    outer = make_dataclass("Outer", [("name", str, "a"), ("inner", inner, field(default_factory=inner))], frozen=True)
    fields = [("workdir", str, ""), ("outer", outer, field(default_factory=outer))]
    root = make_dataclass("Run", fields, frozen=True)
    found = loaded("Outer.name = 'b'\nInner.size = 3\n", root=root)
    assert found.config == root("w", outer("b", inner(3)))
    assert loaded(found.text, root=root).config == found.config
    assert "Outer.inner is a section; bind its fields, as in Inner.size" in error("Outer.inner = 3", root=root)


def test_settings_are_one_line_per_field():
    assert settings(TrainConfig(clip=1e9)) == (
        "TrainConfig.steps = 100",
        "TrainConfig.log_every = 10",
        "TrainConfig.clip = 1000000000.0",
        "TrainConfig.resume = True",
    )
    assert settings(Run("a\nb")) == (r"Run.workdir = 'a\nb'", "Run.seed = 0")
    assert literal(("a",)) == "('a',)"


finite = st.floats(-LARGEST, LARGEST)
text = st.text(max_size=8) | st.sampled_from(
    ["'", '"', "\\", "a\nb\r\t", "%DIM", "@x", "#", "中文，", "\u2028\x00\x85"]
)
runs = st.builds(
    Run,
    workdir=text,
    seed=st.integers(max_value=-1),
    train=st.builds(
        TrainConfig,
        steps=st.integers(10),
        log_every=st.integers(max_value=10),
        clip=st.none() | finite,
        resume=st.booleans(),
    ),
    optim=st.builds(
        OptimConfig,
        learning_rate=finite,
        betas=st.tuples(finite, finite),
        schedule=st.sampled_from(["cosine", "linear"]),
    ),
    mix=st.builds(
        MixConfig,
        weights=st.dictionaries(text, finite, max_size=3),
        nested=st.dictionaries(
            text,
            st.dictionaries(st.integers(), st.lists(st.none() | text, max_size=3).map(tuple), max_size=2),
            max_size=2,
        ),
        axes=st.none() | text | st.lists(text, max_size=2).map(tuple),
    ),
)


@given(run=runs)
def test_the_text_loads_to_an_equal_config(run, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "rebuilt.gin"
    path.write_text(config.Loaded(run, {}).text, encoding="utf-8")
    rebuilt = load(path, (), Run)
    assert rebuilt.config == run
    assert "default" not in rebuilt.origins.values()


def test_an_old_name_is_answered_with_the_new_one(tmp_path):
    file = tmp_path / "old.gin"
    file.write_text("AttentionConfig.kernel = 'chunked'\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"old.gin:1: AttentionConfig.kernel was renamed to AttentionConfig.implementation"
    ):
        load(file, (), RunConfig)
