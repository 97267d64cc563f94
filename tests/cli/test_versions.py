"""Workdirs that older code has made: what it made is used where that is harmless, and never taken for what is new."""

from dataclasses import replace

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.pipeline import Pipeline
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import STAGES, wanted
from tests.cli.small import write_config

CORPUS = ("data", "tokenizer", "tokens")  # what changed since


def pipeline(config, *overrides) -> Pipeline:
    return Pipeline(load_config(config, overrides))


@pytest.fixture
def old(tmp_path, monkeypatch):
    """Return the config of a run that code without versions has finished."""
    config = write_config(tmp_path)
    with monkeypatch.context() as before:
        for name, spec in list(STAGES.items()):
            before.setitem(STAGES, name, replace(spec, changes=()))
        made = pipeline(config)
        for name in wanted(RunConfig()):
            made.stage(name).run(lambda directory: {})
    for path in (tmp_path / "run").glob("*/*.json"):
        record = read_json(path)
        record.pop("version", None)
        write_json(path, record)
    return config


def half_train(config) -> None:
    """Leave a training with a checkpoint."""
    remove(config, "train", "manifest.json", "result.json")
    (config.parent / "run/train/checkpoints/4").mkdir(parents=True)


def remove(config, name: str, *files: str) -> None:
    directory = config.parent / "run" / name
    for path in [directory / file for file in files] or list(directory.iterdir()):
        path.unlink()


@pytest.mark.parametrize("verb", ["run", "data", "data inspect", "tokenizer"])
def test_a_corpus_of_older_code_is_refused_with_the_way_on(old, verb, capsys):
    assert main([*verb.split(), str(old)]) == 2
    said = capsys.readouterr().err
    name = "data" if verb != "tokenizer" else verb
    assert f"run/{name} was made by version 1 of stage '{name}'" in said
    assert f"make again with --redo: {name} (0 s), " in said
    assert "--set RunConfig.workdir=" in said


def test_another_workdir_is_the_way_on(old):
    pipeline(old, f"RunConfig.workdir={str(old.parent / 'new')!r}").check(("data",))


def test_a_model_of_older_code_is_looked_at_as_before(old):
    for name in ("evaluate", "generate", "report"):
        pipeline(old).check((name,))
    pipeline(old).check_model()
    for name in ("report", "generate", "evaluate"):
        remove(old, name)
        pipeline(old).check((name,))


def test_a_training_of_older_code_is_refused_and_can_still_be_looked_at(old, monkeypatch):
    monkeypatch.setitem(STAGES, "train", replace(STAGES["train"], check=lambda config: None))
    half_train(old)
    with pytest.raises(UserError, match="half-made: finish it with the code that began it"):
        pipeline(old).check(("train",))
    pipeline(old).check_model()


def test_a_training_goes_on_over_the_tokens_it_began_with(old, monkeypatch):
    checked = []
    monkeypatch.setitem(STAGES, "train", replace(STAGES["train"], changes=(), check=checked.append))
    pipeline(old).check(("train",))
    half_train(old)
    pipeline(old).check(("train",))
    assert len(checked) == 1


@pytest.mark.parametrize(("gone", "name"), [(("train",), "train"), (CORPUS[1:], "tokens")])
def test_what_begins_now_is_not_made_from_an_older_corpus(old, gone, name):
    for stage in gone:
        remove(old, stage)
    with pytest.raises(UserError, match="run/data was made by version 1"):
        pipeline(old).check((name,))


@pytest.mark.parametrize("name", CORPUS)
def test_what_older_code_left_half_made_is_made_anew(old, name):
    remove(old, name, "manifest.json", "result.json")
    (old.parent / "run" / name / "half").write_text("half")
    stage = pipeline(old).stage(name)
    assert not stage.complete()
    assert not stage.run(lambda directory: {})[1]
    assert not (stage.directory / "half").exists()
    assert read_json(stage.directory / "manifest.json")["version"] == 1 + len(STAGES[name].changes)


def test_a_corpus_made_anew_is_not_the_one_that_the_rest_was_made_from(old):
    remove(old, "data")
    pipeline(old).stage("data").run(lambda directory: {})
    made = pipeline(old).stage
    with pytest.raises(UserError, match="its input, stage 'data', is not the one it was made from"):
        made("tokenizer").complete(any_version=True)


@pytest.mark.parametrize("name", wanted(RunConfig()))
def test_every_version_is_recorded(old, name):
    stage = pipeline(old, f"RunConfig.workdir={str(old.parent / 'new')!r}").stage(name)
    stage.run(lambda directory: {})
    assert read_json(stage.directory / "manifest.json")["version"] == stage.version == 1 + len(STAGES[name].changes)
