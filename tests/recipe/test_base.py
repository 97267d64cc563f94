"""A run takes from its base the finished stages that agree, and makes the others in its own workdir."""

import shutil
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baichuan_jax.cli.main import main
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.lock import exclusive
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import STAGES, wanted

WANTED = list(wanted(RunConfig()))  # without instructions there is no tuning

CORPUS = ("data", "tokenizer", "tokens")


def test_four_learning_rates_on_one_base_make_the_corpus_once(made, new_run):
    base = new_run("base")
    base.build("tokens")
    for rate in (1e-3, 2e-3, 3e-3, 4e-3):
        run = new_run(f"{rate}", {"OptimConfig.peak_lr": rate}, base="base")
        run.build("report")
        assert {name: run.pipeline.taken(name) for name in CORPUS} == dict.fromkeys(CORPUS, base.workdir)
        assert run.notes[0] == f"building train in this run: {base.workdir} has none"
    assert made == [
        *(("base", name) for name in CORPUS),
        *((f"{rate}", name) for rate in (1e-3, 2e-3, 3e-3, 4e-3) for name in WANTED[3:]),
    ]


def test_all_but_the_report_is_taken_where_all_settings_agree(made, new_run):
    new_run("base").build("report")
    del made[:]
    new_run("same", {"MeshConfig.fsdp": 2}, base="base").build("report")
    assert made == [("same", "report")]


def test_a_verb_says_why_what_it_needs_is_not_taken(made, new_run):
    new_run("base").build("tokens")
    run = new_run("other", {"TokenizerConfig.shard_bytes": 500}, base="base")
    with pytest.raises(
        UserError, match=r"stage 'tokens' cannot be taken from RunConfig.base: .*; .*make it here first"
    ):
        run.pipeline.check(("train",))


@pytest.mark.parametrize(
    ("setting", "own"),
    [
        ({"OptimConfig.peak_lr": 1e-4}, ["train", "evaluate", "generate"]),
        ({"TokenizerConfig.shard_bytes": 500}, ["tokenizer", "tokens", "train", "evaluate", "generate"]),
        ({"SampleConfig.seed": 5}, ["generate"]),
    ],
)
def test_what_differs_and_what_is_made_from_it_is_made_here_and_said(made, new_run, setting, own):
    new_run("base").build("report")
    del made[:]
    run = new_run("other", setting, base="base")
    run.build("report")
    assert made == [("other", name) for name in [*own, "report"]]
    [(name, value)] = setting.items()
    assert f"building {own[0]} in this run: {run.config.base} has another: {name} was " in run.notes[0]
    assert f"is now {value}" in run.notes[0]
    run.notes.clear()
    new_run("other", setting, base="base").build("report")
    assert made == [("other", name) for name in [*own, "report"]], "it is finished"


def test_a_base_of_the_base_is_taken_and_said(made, new_run):
    """Whoever names a base wants its model: that another one agrees with the settings is no secret."""
    new_run("first").build("train")
    other = new_run("second", {"TrainConfig.seed": 1}, base="first")
    other.build("train")
    run = new_run("third", base="second")
    run.build("evaluate")
    assert run.pipeline.taken("train").name == "first"
    (note,) = [note for note in run.notes if note.startswith("train")]
    assert note.startswith(f"train is not that of RunConfig.base: {other.workdir} has another: TrainConfig.seed was 1")


CHOICES = {
    "TokenizerConfig.shard_bytes": (500, 600),
    "OptimConfig.peak_lr": (1e-3, 2e-3),
    "SampleConfig.seed": (0, 1),
}


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.fixed_dictionaries({name: st.sampled_from(values) for name, values in CHOICES.items()}),
            st.integers(0, 3),
            st.sampled_from([name for name in WANTED if name != "report"]),
        ),
        min_size=2,
        max_size=4,
    )
)
def test_every_stage_is_what_it_is_without_a_base_and_none_is_made_twice(made, new_run, plans):
    """Of runs that build up to some stage, each based on an earlier one or on none."""
    example = len(made)
    chains: list[list[Run]] = []
    for number, (chosen, base, last) in enumerate(plans):
        earlier = chains[number - base] if 0 < base <= number else []
        run = new_run(f"{example}-{number}", chosen, base=earlier[-1].workdir.name if earlier else "")
        alone = new_run(f"{example}-alone", chosen).pipeline
        known = {other.pipeline.stage(name).identity for other in earlier for name in WANTED if finished(other, name)}
        begin = len(made)
        run.build(last)
        run.pipeline.refresh()
        for name in WANTED[: WANTED.index(last) + 1]:
            assert run.pipeline.stage(name).identity == alone.stage(name).identity
        assert not known & {run.pipeline.stage(name).identity for _, name in made[begin:]}
        chains.append([*earlier, run])


def finished(run: Run, name: str) -> bool:
    return (run.workdir / name / "manifest.json").exists()


def test_a_stage_that_the_base_has_not_finished_is_made_here(made, new_run):
    base = new_run("base")
    base.build("tokenizer")
    (base.place("tokenizer") / "manifest.json").unlink()
    run = new_run("other", base="base")
    with exclusive(base.workdir / ".lock"):
        run.build("tokens")
    at_work = "yet, and a process is at work there"
    assert run.notes == [
        f"building tokenizer in this run: {base.workdir} has not finished it {at_work}",
        f"building tokens in this run: {base.workdir} has none {at_work}",
    ]
    assert made[2:] == [("other", "tokenizer"), ("other", "tokens")]


def test_a_base_may_have_a_base(made, new_run):
    new_run("first").build("tokenizer")
    second = new_run("second", base="first")
    second.build("tokens")
    third = new_run("third", base="second")
    third.build("train")
    assert [third.pipeline.taken(name).name for name in CORPUS] == ["first", "first", "second"]
    assert made == [("first", "data"), ("first", "tokenizer"), ("second", "tokens"), ("third", "train")]
    shutil.rmtree(second.workdir.parent / "first")
    assert new_run("third", base="second").pipeline.taken("tokens") == second.workdir, "train was made from it"
    with pytest.raises(UserError, match=r"RunConfig.base = .*no run is there"):
        new_run("second", base="first").build("train")


def test_runs_that_move_together_find_each_other(made, new_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new_run("base").build("tokens")
    config = new_run("other", base="base").config
    Run(replace(config, workdir="runs/other", base="runs/base")).build("train")
    (tmp_path / "runs").rename(tmp_path / "moved")
    moved = Run.open("moved/other")
    assert moved.build("report")
    assert made == [*(("base", name) for name in CORPUS), *(("other", name) for name in WANTED[3:])]


def test_a_base_that_is_gone_or_the_run_itself(made, new_run, tmp_path):
    new_run("base").build("tokens")
    run = new_run("other", base="base")
    run.build("train")
    for name in ("data", "tokens"):
        shutil.rmtree(tmp_path / "runs" / "base" / name)
    slim = new_run("other", base="base").pipeline
    slim.check_model()
    slim.check(("train",))  # it is finished
    assert slim.taken("tokenizer")
    assert not slim.taken("tokens")
    shutil.rmtree(tmp_path / "runs" / "base")
    with pytest.raises(UserError, match=r"RunConfig.base = .*no run is there .*RunConfig.base='' its"):
        new_run("other", base="base").pipeline.check_model()
    new_run("other").build("tokens")
    new_run("other").build("generate")
    assert made[3:] == [("other", "train"), *(("other", name) for name in CORPUS), ("other", "generate")]
    with pytest.raises(UserError, match=r"RunConfig.base = .*another run"):
        new_run("new", base="new").build("data")


def test_a_base_that_is_made_anew_leaves_a_run_its_own_and_is_not_taken_for_what_it_was(made, new_run, tmp_path):
    new_run("base").build("tokens")
    new_run("other", base="base").build("train")
    with (tmp_path / "en.jsonl").open("a") as file:
        file.write('{"text": "more"}\n')
    new_run("other", base="base").pipeline.check_model()  # its own corpus is still in the base
    for name in CORPUS:
        shutil.rmtree(tmp_path / "runs" / "base" / name)
    new_run("base").build("tokens")
    with pytest.raises(UserError, match="train was trained on other tokens than those in"):
        new_run("other", base="base").pipeline.check_model()
    with pytest.raises(UserError, match="'tokens', is not the one it was made from"):
        new_run("other", base="base").build("train")


def test_the_command_line_says_what_is_taken(made, new_run, tmp_path, capsys):
    new_run("base").build("tokens")
    config, base = tmp_path / "small.gin", tmp_path / "runs" / "base"
    chosen = [f"--set=RunConfig.workdir={tmp_path / 'runs' / 'other'}", f"--set=RunConfig.base={base}"]
    assert main(["train", str(config), *chosen]) == 0
    assert main(["run", str(config), *chosen]) == 0
    said = capsys.readouterr().out
    assert said.count(f"tokens: taken from {base}\n") == 2
    assert "train: done before, skipped" in said


def test_what_reads_a_model_is_made_again_when_the_model_has_gone_on(made, new_run, monkeypatch):
    def train(run, directory):
        (directory / "checkpoints" / f"{run.config.train.steps}").mkdir(parents=True)
        run.pipeline.stage("train").goes_on_from(12)
        made.append((run.workdir.name, "train"))

    monkeypatch.setitem(STAGES, "train", replace(STAGES["train"], build=train))
    new_run("run").build("report")
    del made[:]
    longer = {"TrainConfig.steps": 20}
    new_run("run", longer).build("report")
    assert made == [], "train is finished; evaluation does not ask how far it was to go"
    new_run("run", longer).build("train")
    new_run("run").build("report")
    assert made == [("run", name) for name in ("train", "evaluate", "generate", "report")]
    assert "TrainConfig.steps = 20\n" in (new_run("run").workdir / "config.gin").read_text()
    new_run("other", longer, base="run").build("train")
    assert made[4:] == [("other", "train")], "that of the base has changed on the way"
