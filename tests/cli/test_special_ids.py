"""Special ids from import to export: what begins a text, which symbols are written, what has no row in the table."""

import json
import shutil
from dataclasses import replace

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.generate.text import TextStream
from baichuan_jax.recipe.run import Run
from tests.convert.making import SMALL, write_published
from tests.tokenizer.making import write_json_tokenizer

NAMES, WORD = ["<|end|>", "<|user|>"], "比特币"
MODEL = replace(SMALL, vocab=256 + len(NAMES))  # the word is beyond
GREEDY = ["--set", "SampleConfig.temperature=0.0", "--set", "SampleConfig.max_tokens=9"]
# What tokenizer_config.json says, and what a prompt then begins with.
SAID = {
    "none": ({"bos_token": None, "eos_token": "<|end|>", "add_bos_token": False}, []),
    "put": ({"bos_token": "<|end|>", "eos_token": "<|end|>", "add_bos_token": True}, [0]),
}


@pytest.fixture(scope="module", params=SAID)
def imported(request, tmp_path_factory):
    """(import, what its texts begin with): made by a relative path, beside ranks in a file called tokenizer.model."""
    folder = tmp_path_factory.mktemp("special")
    write_published(folder / "theirs", MODEL, "llama")
    write_json_tokenizer(folder / "theirs", NAMES, added=(WORD,))
    known, begin = SAID[request.param]
    (folder / "theirs/tokenizer_config.json").write_text(json.dumps(known))
    (folder / "theirs/tokenizer.model").write_text("IQ== 0\nIg== 1\n")
    for name, ids in (("config", {"bos_token_id": None}), ("generation_config", {})):
        path = folder / f"theirs/{name}.json"
        old = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**old, **ids, "eos_token_id": [0, 7]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["convert", "import", "theirs", "ours"]) == 0
        patch.chdir(folder.parent)
        yield folder / "ours", begin


@pytest.fixture(scope="module")
def loaded(imported):
    run = Run.open(imported[0])
    assert run.workdir == imported[0] / "run"
    return run.config, run.load_engine(), run.tokenizer


def continuation(loaded, ids: list[int]) -> str:
    config, engine, tokenizer = loaded
    request = engine.submit(ids, replace(config.sample, temperature=0.0, max_tokens=9))
    while engine.busy:
        engine.step()
    return TextStream(tokenizer).push(request.ids, last=True)


def generated(imported, capsys, *arguments: str) -> str:
    assert main(["generate", str(imported[0] / "config.gin"), *GREEDY, *arguments]) == 0
    return capsys.readouterr().out


def test_a_prompt_begins_as_the_files_say(imported, loaded, capsys):
    ids = [*imported[1], *loaded[2].encode("The people")]
    assert generated(imported, capsys, "--prompt", "The people") == f"The people{continuation(loaded, ids)}\n"


@pytest.mark.parametrize("asked", [True, False])
def test_symbols_are_ids_where_asked(imported, loaded, capsys, asked):
    text, tokenizer = "<|user|>The<|end|>", loaded[2]
    ids = [1, *tokenizer.encode("The"), 0] if asked else tokenizer.encode(text)
    out = generated(imported, capsys, "--prompt", text, *(["--symbols"] if asked else []))
    assert out == f"{text}{continuation(loaded, [*imported[1], *ids])}\n"


def test_the_setting_comes_before_the_files(imported, loaded, capsys):
    ids = loaded[2].encode("The")
    out = generated(imported, capsys, "--prompt", "The", "--set", "TokenizerConfig.bos='off'")
    assert out == f"The{continuation(loaded, ids)}\n"
    on = ["--prompt", "The", "--set", "TokenizerConfig.bos='on'"]
    if imported[1]:
        assert generated(imported, capsys, *on) == f"The{continuation(loaded, [0, *ids])}\n"
    else:
        assert main(["generate", str(imported[0] / "config.gin"), *on]) == 2
        assert "define BOS" in capsys.readouterr().err


def test_an_id_beyond_the_token_table_is_named(imported, capsys):
    assert main(["generate", str(imported[0] / "config.gin"), "--prompt", f"The people{WORD}"]) == 2
    assert f"id {MODEL.vocab} is outside the model's token table of {MODEL.vocab} rows" in capsys.readouterr().err


def test_an_export_of_a_second_stage_keeps_tokenizer_and_ids(imported, tmp_path):
    shutil.copytree(imported[0] / "checkpoints", tmp_path / "two/train/checkpoints")
    start = f"TrainConfig.start='{tmp_path}/two/train/checkpoints'"
    config = str(imported[0] / "config.gin")
    assert main(["convert", "export", config, str(tmp_path / "out"), "--layout", "llama", "--set", start]) == 0
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (imported[0] / name).read_bytes()
    found = json.loads((tmp_path / "out/config.json").read_text())
    assert (found["bos_token_id"], found["eos_token_id"], found["pad_token_id"]) == (None, [0, 7], None)


@pytest.mark.parametrize("bos", ["on", "off"])
def test_an_export_begins_texts_as_the_setting_says(imported, tmp_path, bos, capsys):
    tokenizers = pytest.importorskip("tokenizers")
    arguments = [str(imported[0] / "config.gin"), str(tmp_path / "out"), "--layout", "llama"]
    code = main(["convert", "export", *arguments, "--set", f"TokenizerConfig.bos='{bos}'"])
    if bos == "on" and not imported[1]:
        assert code == 2
        return
    assert code == 0
    begin = [0] if bos == "on" else []
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    bare = theirs.encode("The", add_special_tokens=False).ids
    said = json.loads((tmp_path / "out/tokenizer_config.json").read_text())
    assert said["add_bos_token"] == bool(begin)
    if bos == "off":
        assert theirs.encode("The").ids == bare
