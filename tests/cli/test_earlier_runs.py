"""Runs made before TokenizerConfig.bos keep what their texts begin with."""

import json

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.stages.tokenizer import load_run_tokenizer
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.export import export_huggingface
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from baichuan_jax.tokenizer.stages import stage_bos


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """One whose tokenizer stage has finished, and whose files say that nothing begins a text."""
    workdir = tmp_path_factory.mktemp("run")
    (workdir / "tokenizer").mkdir()
    model = workdir / "tokenizer/tokenizer.model"
    train_tokenizer(TokenizerConfig(vocab=290), iter(["the quick brown fox jumps over the lazy dog"] * 20), model)
    export_huggingface(model, model.parent)
    (workdir / "tokenizer/manifest.json").write_text("{}")
    return workdir


def begin(workdir, result: dict, bos: str, steps: int = 3) -> tuple[int, ...]:
    (workdir / "tokenizer/result.json").write_text(json.dumps(result))
    overrides = (
        f"RunConfig.workdir={workdir}",
        f"TokenizerConfig.bos={bos!r}",
        f"TrainConfig.steps={steps}",
        "TrainConfig.start=weights",
    )
    config = load_config(None, (*overrides, "OptimConfig.warmup_steps=1"))
    return load_run_tokenizer(config).begin


@pytest.mark.parametrize(
    ("result", "bos", "found"),
    [
        ({}, "auto", (1,)),  # before there was the setting
        ({}, "on", (1,)),
        ({"begin": []}, "auto", ()),
        ({"begin": []}, "off", ()),
        ({"begin": [1]}, "auto", (1,)),
        ({"begin": [1]}, "on", (1,)),
    ],
)
def test_a_run_begins_texts_as_its_documents_began(workdir, result, bos, found):
    assert begin(workdir, result, bos) == found


@pytest.mark.parametrize(("result", "bos"), [({}, "off"), ({"begin": [1]}, "off"), ({"begin": []}, "on")])
def test_a_setting_that_is_not_the_runs_is_refused(workdir, result, bos):
    with pytest.raises(UserError, match=rf"TokenizerConfig.bos = '{bos}': this run was trained with"):
        begin(workdir, result, bos)


def test_without_a_step_the_setting_and_the_files_decide(workdir):
    assert begin(workdir, {}, "auto", steps=0) == ()
    assert begin(workdir, {}, "on", steps=0) == (1,)


def test_a_stage_that_has_not_finished_says_nothing(workdir, tmp_path):
    assert stage_bos(tmp_path) is None
    assert stage_bos(workdir / "tokenizer") is not None
