"""The verbs `convert import` and `convert export`, as a user has them."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from baichuan_jax.cli.main import main
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from tests.cli.small import command, environment, run, write_texts
from tests.convert.making import SMALL, write_published

MODEL = replace(SMALL, vocab=512, context=128)
RUN = """
include '{folder}/ours/config.gin'
DataConfig.sources = {{'zh': '{folder}/zh.jsonl', 'en': '{folder}/en.jsonl'}}
SelectConfig.validation_fraction = 0.1
TrainConfig.length = 32
TrainConfig.batch = 8
TrainConfig.log_every = 1
TrainConfig.eval_windows = 4
OptimConfig.warmup_steps = 1
EvaluateConfig.length = 32
SampleConfig.prompts = ('中国',)
SampleConfig.max_tokens = 8
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a published checkpoint with its tokenizer in theirs/, imported into ours/, and a run over it: run.gin."""
    folder = tmp_path_factory.mktemp("convert")
    write_texts(folder)
    write_published(folder / "theirs", MODEL, "baichuan", files=2)
    lines = [json.loads(line)["text"] for name in ("zh", "en") for line in (folder / f"{name}.jsonl").open()]
    train_tokenizer(
        TokenizerConfig(vocab=512, character_coverage=0.99), iter(lines), folder / "theirs" / "tokenizer.model"
    )
    (folder / "run.gin").write_text(RUN.format(folder=folder), encoding="utf-8")
    assert main(["convert", "import", str(folder / "theirs"), str(folder / "ours"), "--verify"]) == 0
    return folder


def tensors(directory) -> dict[str, np.ndarray]:
    return {name: value for file in directory.glob("*.safetensors") for name, value in load_file(file).items()}


def test_an_import_generates_at_once(folder, capsys):
    arguments = ["generate", folder / "ours" / "config.gin", "--prompt", "中国", "--set", "SampleConfig.max_tokens=8"]
    assert main(list(map(str, arguments))) == 0
    assert capsys.readouterr().out.startswith("中国")


def test_json_is_a_line_of_ascii_for_each_prompt(folder, capsys):
    config, prompts = folder / "ours" / "config.gin", ["中国\u2028\n人民", "The people"]
    given = [part for prompt in prompts for part in ("--prompt", prompt)]
    assert main(["generate", str(config), *given, "--json", "--set", "SampleConfig.max_tokens=8"]) == 0
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    assert out.isascii()
    assert [line["prompt"] for line in lines] == prompts
    assert all(set(line) == {"prompt", "text", "finish_reason"} for line in lines)
    assert {line["finish_reason"] for line in lines} <= {"end", "length"}


def test_an_import_without_a_tokenizer_says_so_at_once(tmp_path, capsys):
    write_published(tmp_path / "theirs", MODEL, "baichuan")
    assert main(["convert", "import", str(tmp_path / "theirs"), str(tmp_path / "ours")]) == 0
    assert f"there is no tokenizer in {tmp_path / 'theirs'}" in capsys.readouterr().out
    arguments = ["generate", str(tmp_path / "ours" / "config.gin"), "--prompt", "中国"]
    assert main(arguments) == 2
    missing = tmp_path / "ours" / "tokenizer.model"
    assert f"no tokenizer at {missing}; set TokenizerConfig.file" in capsys.readouterr().err


def test_a_text_ends_at_any_id_that_the_checkpoint_names(folder, capsys):
    said = folder / "ours" / "generation_config.json"
    said.write_text(json.dumps({"eos_token_id": list(range(MODEL.vocab))}))
    arguments = ["generate", folder / "ours" / "config.gin", "--prompt", "中国", "--set", "SampleConfig.max_tokens=8"]
    try:
        assert main(list(map(str, arguments))) == 0
    finally:
        said.unlink()
    assert capsys.readouterr().out == "中国\n"


def test_importing_again_does_nothing(folder, capsys):
    before = (folder / "ours" / "manifest.json").stat().st_mtime_ns
    assert main(["convert", "import", str(folder / "theirs"), str(folder / "ours")]) == 0
    assert "done before, skipped" in capsys.readouterr().out
    assert (folder / "ours" / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_an_import_is_measured_as_it_is_and_trained_on(folder, capsys):
    """Zero steps leave the weights alone; some do not, and start from them; both can be exported."""
    as_it_is = ["run", folder / "run.gin"]
    assert main(list(map(str, as_it_is))) == 0
    assert "parameters, as they were" in capsys.readouterr().out
    kept, moved = folder / "ours" / "run", folder / "moved"
    onward = ["--set", f"RunConfig.workdir={moved}", "--set", "TrainConfig.steps=3"]
    assert main(list(map(str, ["run", folder / "run.gin", *onward]))) == 0
    first = json.loads((moved / "train" / "metrics.jsonl").read_text().splitlines()[0])["validation"]
    found = json.loads((kept / "evaluate" / "result.json").read_text())["domains"]
    for domain in found:  # in training fewer windows count
        assert first[domain] == pytest.approx(found[domain]["bits_per_byte"], rel=0.1)
    after = json.loads((moved / "evaluate" / "result.json").read_text())["domains"]
    assert all(after[domain]["bits_per_byte"] < found[domain]["bits_per_byte"] for domain in found)

    for config, name in ((kept / "config.gin", "same"), (moved / "config.gin", "changed")):
        out = folder / name
        assert main(["convert", "export", str(config), str(out), "--layout", "baichuan", "--verify"]) == 0
        assert (out / "tokenizer.model").read_bytes() == (folder / "theirs" / "tokenizer.model").read_bytes()
    theirs, same, changed = (tensors(folder / name) for name in ("theirs", "same", "changed"))
    for name, value in theirs.items():
        np.testing.assert_array_equal(same[name], value)
        assert not np.array_equal(changed[name], value)
        np.testing.assert_allclose(changed[name], value, atol=0.01)


def test_transformers_loads_an_export_with_its_tokenizer(folder, capsys):
    """From the directory alone: ids, generation config, and the text that we continue a prompt with."""
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    out = folder / "llama"
    assert main(["convert", "export", str(folder / "ours" / "config.gin"), str(out), "--layout", "llama"]) == 0
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    ours = SentencePieceTokenizer(folder / "theirs" / "tokenizer.model")
    for text in ("中国人民 the people", "  two  spaces\n\t", "", "1234 é \U0001f600", "</s><s>", " a", "<0x41>"):
        ids = tokenizer(text)["input_ids"]
        assert ids == [ours.bos, *ours.encode(text)]
        assert tokenizer.decode(ids[1:]) == text
    model = transformers.AutoModelForCausalLM.from_pretrained(out)
    assert (model.generation_config.bos_token_id, model.generation_config.eos_token_id) == (1, 2)
    assert model.generation_config.top_p == 0.95
    assert model.generation_config.max_new_tokens is None
    prompt = tokenizer("中国", return_tensors="pt")["input_ids"]
    made = model.generate(prompt, max_new_tokens=12, do_sample=False)[0, prompt.shape[1] :]
    greedy = ["--set", "SampleConfig.temperature=0.0", "--set", "SampleConfig.max_tokens=12"]
    capsys.readouterr()
    assert main(["generate", str(folder / "ours" / "config.gin"), "--prompt", "中国", *greedy]) == 0
    # Bytes that are not UTF-8 show differently, so both are spelled by our tokenizer.
    assert capsys.readouterr().out == f"中国{ours.decode(made.tolist())}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "{f}/nowhere", "{f}/x"], "nowhere is not a directory; name one that contains config.json"),
        (["import", "{f}/theirs", "{f}/theirs"], "holds files that no run has made; choose another directory"),
        (["import", "{f}/theirs", "{f}/run.gin/x"], "cannot write in"),
        (["export", "{f}/ours/config.gin", "{f}/x", "--layout", "llama", "--file-gb", "0"], "--file-gb = 0.0"),
        (["export", "configs/runs/quickstart.gin", "{f}/x", "--layout", "llama"], "there is no|no finished checkpoint"),
        (
            ["export", "{f}/ours/config.gin", "{f}/x", "--layout", "llama", "--set", "DecoderConfig.layers=3"],
            r"parameter 'blocks.attention.key' has shape \[2, 32, 4, 8\], the config requires \[3, 32, 4, 8\]",
        ),
        (
            ["export", "{f}/ours/config.gin", "{f}/x", "--layout", "llama", "--set", "PositionConfig.kind='alibi'"],
            r"PositionConfig.kind = 'alibi': the layout 'llama' supports only 'rope'",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    code = main(["convert", *(argument.format(f=folder) for argument in arguments)])
    error = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert len([line for line in error if line.startswith("baichuan-jax:")]) == 1
    assert any(re.search(message, line) for line in error), error
    assert not (folder / "x" / "config.json").exists()
    assert not (folder / "x" / "manifest.json").exists()


def test_a_source_that_has_changed_is_not_mixed_with_the_old_one(folder, tmp_path, capsys):
    shutil.copytree(folder / "theirs", tmp_path / "theirs")
    arguments = ["convert", "import", str(tmp_path / "theirs"), str(tmp_path / "ours")]
    assert main(arguments) == 0
    os.utime(tmp_path / "theirs" / "config.json", (1, 1))
    assert main(arguments) == 2
    assert "was made with another config: config.json was" in capsys.readouterr().err


@pytest.mark.slow
def test_killed_conversions_go_on(tmp_path):
    """kill -9 at three moments of each; then the files are those that went in."""
    cfg = replace(SMALL, vocab=4000, hidden=512, head_dim=128, inner=2048, layers=6)
    theirs = write_published(tmp_path / "theirs", cfg, "baichuan")
    imports = ("convert", "import", tmp_path / "theirs", tmp_path / "ours")
    exports = ("convert", "export", tmp_path / "ours" / "config.gin", tmp_path / "out", "--layout", "baichuan")
    for arguments, journal in ((imports, "ours/checkpoints/journal.txt"), (exports, "out/journal.txt")):
        for least in (1, 8, 20):
            kill_when_done(arguments, tmp_path / journal, least)
        run(*arguments)
    for name, value in tensors(tmp_path / "out").items():
        np.testing.assert_array_equal(value, theirs[name])
    assert not list((tmp_path / "out").glob(".*")), "nothing is left over"


def kill_when_done(arguments: tuple, journal, least: int) -> None:
    """Start a conversion and kills it when so many pieces are done, if it is not faster."""
    process = subprocess.Popen(command(*arguments), env=environment(), stdout=subprocess.DEVNULL)
    while process.poll() is None:
        if journal.exists() and len(journal.read_text().splitlines()) >= least:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.001)
    assert process.returncode in (0, -signal.SIGKILL)
