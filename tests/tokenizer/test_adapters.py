"""Tokenizers of other kinds, and our own in theirs."""

import json
import random
import sys
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.load import find_tokenizers, load_tokenizer
from tests.tokenizer.fuzz import random_text
from tests.tokenizer.test_tokenizer import CORPUS

SHARED = Path(__file__).parents[3] / "shared/data/tokenizers"
TEXTS = ["", "The people 2024", "中国 人民\r\n\t 好", "  two  spaces ", "<s></s><|endoftext|>", "e\u0301 𝄞 \x00\x07"]


@pytest.fixture(params=["ours", "theirs", "ranks"])
def tokenizer(request, folder):
    return load_tokenizer(find_tokenizers(folder)[request.param])


@pytest.mark.parametrize("text", TEXTS)
def test_lossless_without_special_ids(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not {tokenizer.bos, tokenizer.eos} & set(ids)
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()
    assert tokenizer.byte_lengths()[ids].sum() == len(text.encode())
    assert [text.encode()[a:b] for a, b in tokenizer.spans(text)] == [*map(tokenizer.token_bytes, ids)]
    assert max(ids, default=0) < tokenizer.vocab


def test_batches_and_the_ends_of_documents(tokenizer):
    assert [ids.tolist() for ids in tokenizer.encode_batch(TEXTS, threads=2)] == [*map(tokenizer.encode, TEXTS)]
    assert tokenizer.bos < tokenizer.vocab
    assert tokenizer.eos < tokenizer.vocab
    assert tokenizer.decode([tokenizer.bos, *tokenizer.encode("a"), tokenizer.eos]) == "a"
    if tokenizer.specials:
        assert tokenizer.encode("a</s>", specials=True) == [*tokenizer.encode("a"), tokenizer.eos]


@pytest.mark.parametrize("layout", ["plain", "baichuan"])
def test_the_export_gives_the_same_ids(folder, layout):
    ours, theirs = (load_tokenizer(folder / layout / f"tokenizer.{kind}") for kind in ("model", "json"))
    rng = random.Random(0)
    texts = [text.replace("\u2581", " ") for text in [*TEXTS, *CORPUS[:9], *(random_text(rng) for _ in range(2000))]]
    for text, one, other in zip(texts, ours.encode_batch(texts), theirs.encode_batch(texts)):
        assert one.tolist() == other.tolist(), repr(text)
        assert theirs.decode(other) == text


def test_the_export_loads_in_transformers(folder):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(folder / "plain")
    ours = load_tokenizer(folder / "plain")
    assert theirs.is_fast
    assert (theirs.bos_token_id, theirs.eos_token_id, len(theirs)) == (1, 2, ours.vocab)
    for text in [*TEXTS, *CORPUS[:9]]:
        assert theirs.encode(text, add_special_tokens=False) == ours.encode(text)
        assert theirs.decode(ours.encode(text)) == text


@pytest.mark.parametrize(
    ("names", "config", "ends"),
    [
        (["<|endoftext|>"], None, (0, 0)),
        (
            ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
            (1, 2),
        ),
        (["<x>", "</x>"], {"bos_token": {"content": "<x>"}, "eos_token": {"content": "</x>"}}, (0, 1)),
        (["<|endoftext|>", "<|im_end|>"], {"bos_token": None, "eos_token": "<|im_end|>"}, (1, 1)),
        (["<x>"], None, (257, 258)),
    ],
)
def test_what_begins_and_ends_a_text(tmp_path, names, config, ends):
    """As transformers reads the same files: id 0 counts, and what tokenizer_config.json says comes before any usage."""
    tokenizers = pytest.importorskip("tokenizers")
    letters = {
        letter: len(names) + number
        for number, letter in enumerate(sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    }
    model = tokenizers.Tokenizer(tokenizers.models.BPE({name: id for id, name in enumerate(names)} | letters, []))
    model.decoder = tokenizers.decoders.ByteLevel()
    model.add_special_tokens(names)
    model.save(str(tmp_path / "tokenizer.json"))
    if config is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    found = load_tokenizer(tmp_path)
    assert (found.bos, found.eos) == ends
    assert found.vocab == max(256 + len(names), found.eos + 1)
    assert set(names) <= set(found.specials)


def test_a_folder(folder):
    assert list(find_tokenizers(folder)) == ["ours", "ranks", "theirs"]


def test_files_that_are_none(folder, tmp_path, monkeypatch):
    (tmp_path / "x.json").write_text("{")
    (tmp_path / "x.tiktoken").write_text("YQ== 0\nnot base64!\n")
    (tmp_path / "y.tiktoken").write_text("YQ== 0\n")
    (tmp_path / "x.txt").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/tokenizer.json").write_bytes((folder / "plain/tokenizer.json").read_bytes())
    (tmp_path / "broken/tokenizer_config.json").write_text('{"bos_token": ')
    for name, message in {
        "x.json": "is not a tokenizer.json",
        "x.tiktoken": "x.tiktoken:2: expected base64 and a rank",
        "y.tiktoken": "255 single bytes have no rank",
        "x.txt": "no kind of tokenizer; endings",
        "absent.json": "no tokenizer at",
        "broken/tokenizer.json": "tokenizer_config.json is damaged",
        "": "no tokenizer at .*tokenizer.model",
    }.items():
        with pytest.raises(UserError, match=message):
            load_tokenizer(tmp_path / name)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError, match=r"pip install 'baichuan-jax\[hf\]'"):
        load_tokenizer(folder / "theirs.tokenizer.json")


@pytest.mark.skipif(not SHARED.exists(), reason="the real tokenizers are not on this machine")
def test_real_tokenizers():
    """Special ids stay out of plain text, also where a vocabulary holds them as symbols of the text."""
    for name, path in find_tokenizers(SHARED).items():
        tokenizer = load_tokenizer(path)
        text = "中国人民银行 1998 <reserved_7><s><|endoftext|> x"
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids).strip() == text, name
        assert not set(tokenizer.specials.values()) & set(ids), name
        assert tokenizer.spans(text)[-1][1] == len(text.encode())
