"""Tokenizer files of an export: the ids that SentencePiece gives, and `<s>` before a text."""

import json
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.checkpoint_files import (
    CONFIG,
    GENERATION,
    TOKENIZER,
    copy_checkpoint_files,
    end_ids,
    write_checkpoint_files,
)
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer

SHARED = Path(__file__).parents[3] / "shared/data/tokenizers"
TEXTS = (
    "The fox",
    " a",
    "  two  spaces\n\t x",
    "",
    "中国人民 12345",
    "0  | |  y",
    "é\r\n\U0001f600",
    "</s><s>",
    "<0x41>",
)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "tokenizer.model"
    train_tokenizer(
        TokenizerConfig(vocab=330), iter(["The quick brown fox jumps over the lazy dog 12 34 中国人民"] * 20), path
    )
    return path


def check_ids(model: Path, directory: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    ours = SentencePieceTokenizer(model)
    write_checkpoint_files(None, model, ours, 4096, directory)
    theirs = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    theirs.encode_special_tokens = True
    for text in TEXTS:
        assert theirs.encode(text).ids == [ours.bos, *ours.encode(text)], text
        assert theirs.decode(theirs.encode(text).ids, skip_special_tokens=True) == ours.decode(ours.encode(text)), text


def test_ids_of_our_own(own, tmp_path):
    check_ids(own, tmp_path)


@pytest.mark.skipif(not SHARED.exists(), reason="the tokenizers of others are not on this machine")
@pytest.mark.parametrize("name", ["llama-32k", "internlm-7b"])
def test_ids_of_models_of_others(name, tmp_path):
    """One that puts a space before a text, and one that does not."""
    check_ids(SHARED / f"{name}.model", tmp_path)


def test_files_of_a_checkpoint_are_taken_and_given_as_they_are(own, tmp_path):
    theirs, ours, again = (tmp_path / name for name in ("theirs", "ours", "again"))
    for directory in (theirs, ours, again):
        directory.mkdir()
    files = {"config.json": "{}", "tokenizer.json": '{"a": 1}', TOKENIZER: '{"b": 2}', "generation_config.json": "{}"}
    for name, text in files.items():
        (theirs / name).write_text(text)
    (theirs / "README.md").write_text("not ours to copy")
    assert sorted(copy_checkpoint_files(theirs, ours)) == sorted(files)
    write_checkpoint_files(ours, own, SentencePieceTokenizer(own), 4096, again)
    assert {path.name: path.read_text() for path in again.iterdir()} == {
        name: text for name, text in files.items() if name != "config.json"
    }


def test_a_tokenizer_that_needs_code_of_its_own_is_replaced(own, tmp_path):
    """As Baichuan's: stock transformers would refuse it."""
    theirs, out = tmp_path / "theirs", tmp_path / "out"
    theirs.mkdir()
    out.mkdir()
    (theirs / TOKENIZER).write_text(json.dumps({"auto_map": {"AutoTokenizer": ["tokenization_baichuan.X", None]}}))
    (theirs / "tokenizer.model").write_bytes(own.read_bytes())
    write_checkpoint_files(theirs, theirs / "tokenizer.model", SentencePieceTokenizer(own), 128, out)
    written = json.loads((out / TOKENIZER).read_text())
    assert "auto_map" not in written
    assert written["model_max_length"] == 128
    assert (out / "tokenizer.model").read_bytes() == own.read_bytes()


@pytest.mark.parametrize(
    ("files", "ids"),
    [
        ({}, ()),
        ({CONFIG: {"eos_token_id": [1, 3]}}, (1, 3)),
        ({CONFIG: {"eos_token_id": 1}, GENERATION: {}}, (1,)),
        ({CONFIG: {"eos_token_id": 1}, GENERATION: {"eos_token_id": [2, 0]}}, (2, 0)),
        ({CONFIG: {"eos_token_id": 1}, GENERATION: {"eos_token_id": 0}}, (0,)),
    ],
)
def test_the_ends_of_a_text(tmp_path, files, ids):
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert end_ids(tmp_path) == ids


@pytest.mark.parametrize("text", ["{", "[]", '{"eos_token_id": ["</s>"]}', '{"eos_token_id": "</s>"}'])
def test_a_damaged_config_is_named(tmp_path, text):
    (tmp_path / GENERATION).write_text(text)
    with pytest.raises(UserError, match=GENERATION):
        end_ids(tmp_path)
