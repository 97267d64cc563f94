"""Stage tune: a run's model is tuned, all of it or adapters, and what reads the run's model gets the tuned one."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from baichuan_jax.convert.peft import read_adapter
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.lab.page import Canvas
from baichuan_jax.lab.tuning import tuning
from baichuan_jax.model.config import LoraConfig
from baichuan_jax.model.fingerprint import fingerprint
from baichuan_jax.recipe.adapters import check_goes_on, load_adapters
from baichuan_jax.recipe.checkpoints import checkpoints_of
from baichuan_jax.recipe.hugging_face import export_adapter, export_checkpoint
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.progress import PrintProgress, Progress
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.trained import load_base, load_params, make_layout
from baichuan_jax.train.checkpoint import read_about
from baichuan_jax.train.config import checkpoint_steps
from baichuan_jax.tune.data_config import InstructionConfig
from tests.cli.small import write_config
from tests.tune.making import write_lines

TUNE = """
ChatConfig.template = 'alpaca'
TuneConfig.steps = 12
TuneConfig.batch = 8
TuneConfig.length = 128
TuneConfig.peak_lr = 1e-2
TuneConfig.warmup_steps = 1
TuneConfig.eval_every = 6
TuneConfig.checkpoint_every = 6
InstructionConfig.held_out = 0.1
"""
ANSWERS = {"good": "book", "bad": "people", "new": "report"}


@pytest.fixture(scope="module", autouse=True)
def one_device():
    """Compile for one device of the eight, which is faster; meshes are tested in tests/train."""
    device = jax.devices()[:1]
    with patch.object(jax, "devices", lambda *_: device):
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory, one_device):
    """Return the config of a run with a trained model, and conversations to tune it on."""
    folder = tmp_path_factory.mktemp("tune")
    records = [
        {"instruction": f"{word} {n}", "output": f"the {answer} of {word}"}
        for n in range(40)
        for word, answer in ANSWERS.items()
    ]
    chats = write_lines(folder / "chats.jsonl", records)
    config = write_config(folder, TUNE)
    untuned = load_config(config)
    Run(untuned).build("train")
    sources = {"chats": str(chats)}
    return replace(untuned, instruction=replace(untuned.instruction, sources=sources))


def tuned(base, lora):
    """Return a tuned run on a base, and the result."""
    config = replace(
        base,
        workdir=f"{base.workdir}-{lora.rank}-{lora.base}",
        base=base.workdir,
        lora=lora,
    )
    run = Run(config)
    return run, run.build("tune")


def leaves(params):
    return jax.device_get(jax.tree.leaves(params))


@pytest.mark.parametrize(
    "lora",
    [
        pytest.param(LoraConfig(), id="full", marks=pytest.mark.slow),
        pytest.param(LoraConfig(rank=4), id="lora"),
        pytest.param(LoraConfig(rank=4, base="int8", drop=0.1), id="int8", marks=pytest.mark.slow),
    ],
)
def test_held_out_responses_become_likelier(base, lora):
    run, found = tuned(base, lora)
    untuned = Run(replace(base, instruction=replace(base.instruction, sources={})))
    assert found.held_out["chats"] < 0.95 * found.held_out_before["chats"]
    assert found.conversations + 1 < 120
    assert (found.parameters == found.base_parameters) == (lora.rank == 0)
    measured = [record["step"] for record in read_metrics(run.place("tune")) if "validation" in record]
    assert measured == [0, 6, 12]
    changed = [not np.array_equal(x, y) for x, y in zip(leaves(run.params), leaves(untuned.params))]
    assert all(changed) if lora.rank == 0 else 0 < sum(changed) < len(changed)
    answer = run.chat([{"role": "user", "content": "good 3"}], temperature=0.0, max_tokens=8)
    assert answer != untuned.chat([{"role": "user", "content": "good 3"}], temperature=0.0, max_tokens=8)


def test_the_model_before_tuning_is_not_read_in_silence(base):
    run, _ = tuned(base, LoraConfig(rank=4))
    notes = []
    before = replace(run.config, instruction=replace(base.instruction, sources={}))
    _ = Run(before, PrintProgress(write=notes.append)).params
    assert f"{run.workdir}/tune has a tuned model" in " ".join(notes)
    notes.clear()
    _ = Run(run.config, PrintProgress(write=notes.append)).params
    assert "has a tuned model" not in " ".join(notes)


def test_the_report_tells_of_tuning(base):
    run, found = tuned(base, LoraConfig(rank=4))
    page = Path(run.report().page).read_text(encoding="utf-8")
    assert f"{found.held_out['chats']:.4f}" in page
    assert "at step 12: chats" in page


def test_the_base_stays_what_it_was(base):
    run, _ = tuned(base, LoraConfig(rank=4))
    assert not (run.workdir / "train").exists()
    assert (
        run.build("evaluate").domains
        != Run(replace(base, instruction=replace(base.instruction, sources={}))).build("evaluate").domains
    )


def test_adapters_are_refused_beside_another_base(base, tmp_path):
    run, _ = tuned(base, LoraConfig(rank=4))
    other = Run(replace(base, workdir=str(tmp_path / "other"), base=base.workdir, train=replace(base.train, seed=9)))
    other.build("train")
    moved = replace(run.config, train=replace(base.train, steps=0, start=str(tmp_path / "other/train/checkpoints")))
    with pytest.raises(UserError, match="trained beside another base"):
        _ = Run(moved).params
    with pytest.raises(UserError, match="trained beside another base"):
        export_checkpoint(moved, tmp_path / "out", "llama", Progress())
    assert not (tmp_path / "out").exists()


def imported(base, folder, **tune):
    """Return a config that tunes weights from elsewhere with adapters, with no conversation held out."""
    start = folder / "start"
    shutil.copytree(Path(base.workdir) / "train/checkpoints", start)
    return replace(
        base,
        workdir=str(folder / "run"),
        train=replace(base.train, steps=0, start=str(start)),
        tokenizer=replace(base.tokenizer, file=str(Path(base.workdir) / "tokenizer/tokenizer.model")),
        instruction=replace(base.instruction, held_out=0.0),
        lora=LoraConfig(rank=2),
        tune=replace(base.tune, steps=2, **tune),
    )


def test_a_tuning_is_of_its_base_and_template(base, tmp_path):
    """What tells a base from elsewhere apart is part of what was tuned: nothing else is taken for it."""
    config = imported(base, tmp_path)
    found = Run(config).build("tune")
    assert (found.steps, found.held_out) == (2, {})
    Run(config).build("tune")
    with pytest.raises(UserError, match=r"DecoderConfig.norm_eps"):
        Run(replace(config, model=replace(config.model, norm_eps=0.1))).build("tune")
    further = replace(config, tune=replace(config.tune, steps=3))
    check_goes_on(further, read_about(checkpoints_of(config), 2)["base"])
    with pytest.raises(UserError, match="trained beside another base"):
        check_goes_on(further, "another")
    start = Path(config.train.start)
    manifest = start / str(checkpoint_steps(start)[-1]) / "manifest.xxh128"
    manifest.write_text(manifest.read_text() + "\n")
    with pytest.raises(UserError, match=r"manifest.xxh128 has changed since"):
        Run(further).build("tune")


def test_adapters_are_exported_merged_and_alone(base, tmp_path):
    run, _ = tuned(base, LoraConfig(rank=4))
    export_checkpoint(run.config, tmp_path / "merged", "llama", Progress())
    tensors, ours = load_file(tmp_path / "merged/model.safetensors"), jax.device_get(run.params)
    for layer, expected in enumerate(ours["blocks"]["mlp"]["up"]):
        np.testing.assert_allclose(tensors[f"model.layers.{layer}.mlp.up_proj.weight"].T, expected, atol=1e-6)
    np.testing.assert_array_equal(tensors["lm_head.weight"].T, ours["head"]["kernel"])
    export_adapter(run.config, tmp_path / "adapter")
    found, adapters = read_adapter(tmp_path / "adapter", base.model), load_adapters(run.config, make_layout(base))
    assert found.base == adapters.base == fingerprint(load_base(run.config, make_layout(base)))
    assert (found.cfg.rank, found.cfg.alpha) == (4, 16.0)
    jax.tree.map(np.testing.assert_array_equal, found.adapters, jax.device_get(adapters.adapters))
    with pytest.raises(UserError, match="holds the output of stage 'export', not of 'export adapter'"):
        export_adapter(run.config, tmp_path / "merged")
    with pytest.raises(UserError, match="holds the output of stage 'export adapter', not of 'export'"):
        export_checkpoint(run.config, tmp_path / "adapter", "llama", Progress())


def test_an_adapter_serves_as_it_is(base, tmp_path):
    """An exported adapter beside the base is the tuned model."""
    run, _ = tuned(base, LoraConfig(rank=4))
    export_adapter(run.config, tmp_path / "adapter")
    untuned = replace(base, instruction=InstructionConfig(), workdir=str(tmp_path / "run"), base=base.workdir)
    before = Run(untuned).build("evaluate").domains
    there = Run(replace(untuned, lora=LoraConfig(adapter=str(tmp_path / "adapter"))))
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(there.params), jax.device_get(run.params))
    assert there.build("evaluate").domains == run.build("evaluate").domains != before
    assert (there.result("tune").steps, there.result("tune").conversations) == (0, 0)
    record = SimpleNamespace(results={"tune": there.result("tune").as_record()})
    assert len(tuning(record, Canvas(tmp_path / "plots"))) == 1
    export_checkpoint(there.config, tmp_path / "merged", "llama", Progress())
    np.testing.assert_allclose(
        load_file(tmp_path / "merged/model.safetensors")["model.layers.0.mlp.up_proj.weight"].T,
        jax.device_get(run.params["blocks"]["mlp"]["up"][0]),
        atol=1e-6,
    )
    file = tmp_path / "adapter/adapter_config.json"
    file.write_text(file.read_text().replace('"lora_alpha": 16', '"lora_alpha": 32'))
    with pytest.raises(UserError, match=r"made with another config: adapters adapter_config\.json"):
        export_checkpoint(there.config, tmp_path / "merged", "llama", Progress())
    with pytest.raises(UserError, match=r"LoraConfig\.adapter = .*: expected none in a run that tunes"):
        replace(base, lora=LoraConfig(adapter=str(tmp_path / "adapter")))


def test_an_adapter_without_a_fingerprint_is_noted(base, tmp_path):
    run, _ = tuned(base, LoraConfig(rank=4))
    export_adapter(run.config, tmp_path / "adapter")
    file = tmp_path / "adapter/adapter_model.safetensors"
    save_file(load_file(file), file)
    config = replace(run.config, instruction=InstructionConfig(), lora=LoraConfig(adapter=str(tmp_path / "adapter")))
    notes = []
    progress = Progress()
    progress.note = notes.append
    params = load_params(config, make_layout(config), progress)
    assert notes == [
        f"the adapter in {tmp_path / 'adapter'} does not say which base it was trained beside: not checked"
    ]
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(params), jax.device_get(run.params))


def test_a_run_without_adapters_has_none_to_export(base, tmp_path):
    with pytest.raises(UserError, match=r"LoraConfig\.rank = 0: expected a run that has tuned adapters"):
        export_adapter(base, tmp_path / "adapter")


def test_a_model_that_is_not_tuned_yet_is_not_there(base, tmp_path):
    run = Run(replace(base, workdir=str(tmp_path / "new"), base=base.workdir))
    with pytest.raises(UserError, match="baichuan-jax tune CONFIG"):
        _ = run.params


def test_nothing_to_tune_on_is_refused(base):
    with pytest.raises(UserError, match=r"InstructionConfig\.sources"):
        Run(replace(base, instruction=replace(base.instruction, sources={}))).build("tune")
