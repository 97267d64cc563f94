"""Tokenizers of other kinds, and our own in theirs."""

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


def test_a_folder(folder):
    assert list(find_tokenizers(folder)) == ["ours", "ranks", "theirs"]


def test_files_that_are_none(folder, tmp_path, monkeypatch):
    (tmp_path / "x.json").write_text("{")
    (tmp_path / "x.tiktoken").write_text("YQ== 0\nnot base64!\n")
    (tmp_path / "y.tiktoken").write_text("YQ== 0\n")
    (tmp_path / "x.txt").touch()
    for name, message in {
        "x.json": "is not a tokenizer.json",
        "x.tiktoken": "x.tiktoken:2: expected base64 and a rank",
        "y.tiktoken": "255 single bytes have no rank",
        "x.txt": "no kind of tokenizer; endings",
        "absent.json": "no tokenizer at",
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
