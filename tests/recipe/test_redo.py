"""A run whose sources or settings have changed says what would be made again, and makes it again when it is told to."""

import shutil

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.core.errors import UserError
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import wanted

WANTED = list(wanted(RunConfig()))  # without instructions there is no tuning

MODEL = WANTED[3:]


@pytest.fixture
def changed(made, new_run, tmp_path):
    """Return a finished run whose source folder has one more file, and the command line of it."""
    run = new_run("run", {"DataConfig.sources": {"zh": f"{tmp_path}/z*.jsonl", "en": f"{tmp_path}/en.jsonl"}})
    run.build("report")
    del made[:]
    shutil.copy(tmp_path / "en.jsonl", tmp_path / "z2.jsonl")
    run.pipeline.refresh()
    return run, [run.workdir / "config.gin"]


def test_what_a_new_source_file_would_make_again_is_said(changed, made, capsys):
    run, command = changed
    before = sorted(run.workdir.rglob("*"))
    assert main(["run", *map(str, command)]) == 2
    said = capsys.readouterr().err
    assert "source file z2.jsonl is new since" in said
    assert f"make again with --redo: {', '.join(f'{name} (0 s)' for name in WANTED)}." in said
    assert sorted(run.workdir.rglob("*")) == before
    assert made == []


def test_one_flag_makes_it_again_and_all_that_was_made_from_it(changed, made, capsys):
    _, command = changed
    assert main(["run", *map(str, command), "--redo"]) == 0
    assert made == [("run", name) for name in WANTED]
    said = capsys.readouterr()
    assert "building data again: source file z2.jsonl is new since" in said.err
    assert "building train again: its input, stage 'tokens', is not the one it was made from" in said.err
    assert main(["run", *map(str, command), "--redo"]) == 0
    assert capsys.readouterr().out.count("skipped") == len(WANTED), "it is as it should be"


def test_a_verb_makes_its_own_stages_again(changed, made):
    run, command = changed
    assert main(["data", *map(str, command), "--redo"]) == 0
    assert made == [("run", "data")]
    with pytest.raises(UserError, match=r"'data', is not the one it was made from.*--redo: tokenizer \(0 s\), tokens"):
        run.build("tokenizer")
    run.build("train", redo=True)
    assert made == [("run", name) for name in ("data", "tokenizer", "tokens", "train")]
    run.build("report")
    assert made[4:] == [("run", name) for name in MODEL[1:]]


def test_what_is_there_serves_without_the_new_file(changed, made):
    run, command = changed
    for name in MODEL[1:]:
        (run.workdir / name / "manifest.json").unlink()
    assert main(["train", *map(str, command)]) == 0
    run.build("report")
    assert made == [("run", name) for name in MODEL[1:]]
    shutil.rmtree(run.workdir / "train")
    with pytest.raises(UserError, match=r"z2.jsonl is new since"):
        run.build("train")  # which begins now


def test_other_settings_are_made_again_and_the_rest_is_left(made, new_run):
    new_run("run").build("report")
    del made[:]
    run = new_run("run", {"DecoderConfig.layers": 1})
    with pytest.raises(UserError, match=r"DecoderConfig.layers was 2, is now 1.*--redo: train \(0 s\), evaluate"):
        run.build("report")
    run.build("report", redo=True)
    assert made == [("run", name) for name in MODEL]


def test_a_base_is_never_made_again_from_elsewhere(made, new_run):
    base = new_run("base")
    base.build("tokens")
    new_run("other", base="base").build("train")
    del made[:]
    before = {path: path.stat().st_mtime_ns for path in base.workdir.rglob("*")}
    run = new_run("other", {"TokenizerConfig.shard_bytes": 700}, base="base")
    with pytest.raises(UserError, match=r"shard_bytes was .*, is now 700") as refused:
        run.build("tokens")
    assert f"its own settings are in {base.workdir / 'config.gin'}" in str(refused.value)
    assert f"--redo: tokenizer (in {run.workdir}), train (0 s)" in str(refused.value)
    run.build("train", redo=True)
    assert made == [("other", name) for name in ("tokenizer", "tokens", "train")]
    assert {path: path.stat().st_mtime_ns for path in base.workdir.rglob("*")} == before
