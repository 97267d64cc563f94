"""Tokenizers of other kinds, and our own in theirs."""

import json
import random
import re
import sys
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.tokenizer_files import EARLIER, find_tokenizers, load_tokenizer, tokenizer_file
from tests.tokenizer.fuzz import random_text
from tests.tokenizer.making import write_json_tokenizer
from tests.tokenizer.test_sentencepiece_tokenizer import CORPUS

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
    assert all(id < tokenizer.vocab for id in (*tokenizer.begin, *tokenizer.end))
    assert tokenizer.decode([*tokenizer.begin, *tokenizer.encode("a"), *tokenizer.end]) == "a"
    assert tokenizer.prompt("a") == [*tokenizer.begin, *tokenizer.encode("a")]
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
    ("names", "config", "template", "special_ids", "begin"),
    [
        (["<|endoftext|>"], None, None, (None, 0), ()),
        (["<s>", "</s>"], None, None, (0, 1), ()),
        (["<s>", "</s>"], None, "<s>", (0, 1), (0,)),
        (["<s>", "</s>"], {"add_bos_token": False}, "<s>", (0, 1), ()),
        (["<s>", "</s>"], {"add_bos_token": True}, None, (0, 1), (0,)),
        (["<x>", "</s>"], {"eos_token": "</s>"}, "<x>", (0, 1), (0,)),
        (
            ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
            None,
            (1, 2),
            (),
        ),
        (["<x>", "</x>"], {"bos_token": {"content": "<x>"}, "eos_token": {"content": "</x>"}}, None, (0, 1), ()),
        (
            ["<|endoftext|>", "<|im_end|>"],
            {"bos_token": None, "eos_token": "<|im_end|>", "add_bos_token": True},
            None,
            (None, 1),
            (),
        ),
        (["<s>", "</s>"], {"bos_token": None, "eos_token": None}, None, (None, None), ()),
        (["<x>"], None, None, (None, None), ()),
    ],
)
def test_what_begins_and_ends_a_text(tmp_path, names, config, template, special_ids, begin):
    """Id 0 counts, what tokenizer_config.json says comes before any usage, and nothing is invented."""
    write_json_tokenizer(tmp_path, names, template)
    if config is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    found = load_tokenizer(tmp_path)
    assert (found.bos, found.eos, found.begin) == (*special_ids, begin)
    assert found.vocab == 256 + len(names)
    if found.bos is not None or found.eos is not None:
        assert set(names) <= set(found.specials)
    letter = found.encode("a")
    assert found.prompt("a") == [*begin, *letter]
    assert load_tokenizer(tmp_path, "off").prompt("a") == letter
    first = next((id for id in (special_ids[1], special_ids[0]) if id is not None), None)
    assert load_tokenizer(tmp_path, "off").prompt("") == ([] if first is None else [first])
    if special_ids[0] is None:
        with pytest.raises(UserError, match=r"TokenizerConfig.bos = 'on'.*define BOS"):
            load_tokenizer(tmp_path, "on")
    else:
        assert load_tokenizer(tmp_path, "on").prompt("a") == [special_ids[0], *letter]


@pytest.mark.parametrize(
    ("names", "config", "framed"),
    [
        (["<s>", "</s>"], {"add_bos_token": False}, (0, 1)),
        (["<|endoftext|>"], {"bos_token": None, "eos_token": "<|endoftext|>"}, (0, 0)),
        (["<x>"], {}, (257, 258)),
    ],
)
def test_what_a_run_had_before_there_was_the_setting(tmp_path, names, config, framed):
    write_json_tokenizer(tmp_path, names)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    found = load_tokenizer(tmp_path, EARLIER)
    assert (found.begin, found.end) == ((framed[0],), (framed[1],))
    assert found.vocab == max(256 + len(names), framed[1] + 1)


@pytest.mark.parametrize("text", ["<x>a</x>b", "a", "<x>", "</x><x>", "a<x", " <x> 中 </x>\n"])
def test_special_ids_are_written_only_where_asked(tmp_path, text):
    write_json_tokenizer(tmp_path, ["<x>", "</x>"])
    tokenizer = load_tokenizer(tmp_path)
    parts = [part for part in re.split("(</?x>)", text) if part]
    wanted = [id for part in parts for id in ([tokenizer.specials[part]] if "x>" in part else tokenizer.encode(part))]
    assert tokenizer.encode(text, specials=True) == wanted
    assert not {0, 1} & set(tokenizer.encode(text))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", ["ranks", "half", "text"])
def test_a_model_of_another_kind_beside_a_tokenizer_json(folder, tmp_path, kind):
    """As LLaMA 3 has one: the JSON is used. Alone it is what is asked for, and told to be none."""
    whole = (folder / "plain/tokenizer.model").read_bytes()
    content = {"ranks": (folder / "ranks.tiktoken").read_bytes(), "half": whole[:5000], "text": b"IQ== 0\n"}[kind]
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(UserError, match="is not a SentencePiece model"):
        load_tokenizer(tmp_path)
    write_json_tokenizer(tmp_path, ["<s>"])
    assert tokenizer_file(tmp_path).suffix == ".json"
    assert load_tokenizer(tmp_path).vocab == 257
    (tmp_path / "tokenizer.model").write_bytes(whole)
    assert tokenizer_file(tmp_path).suffix == ".model"


@pytest.mark.parametrize(
    ("config", "bos", "begin"),
    [
        (None, 1, (1,)),
        ({}, 1, (1,)),
        ({"add_bos_token": False}, 1, ()),
        ({"add_bos_token": True}, 1, (1,)),
        ({"bos_token": None}, None, ()),
        ({"bos_token": None, "add_bos_token": True}, None, ()),
        ({"bos_token": {"content": "</s>"}}, 2, (2,)),
        ({"bos_token": "<none such>"}, None, ()),
    ],
)
def test_what_begins_a_text_of_a_sentencepiece_model(folder, tmp_path, config, bos, begin):
    (tmp_path / "tokenizer.model").write_bytes((folder / "ours.model").read_bytes())
    if config is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    found = load_tokenizer(tmp_path)
    assert (found.bos, found.begin, found.eos) == (bos, begin, 2)
    assert load_tokenizer(tmp_path, "off").begin == ()


def test_files_beside_speak_of_what_is_called_tokenizer(folder, tmp_path):
    (tmp_path / "llama.model").write_bytes((folder / "ours.model").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"add_bos_token": false}')
    assert load_tokenizer(tmp_path / "llama.model").begin == (1,)


def test_the_special_tokens_map_counts_where_the_config_is_silent(tmp_path):
    write_json_tokenizer(tmp_path, ["<a>", "<b>"])
    (tmp_path / "special_tokens_map.json").write_text('{"bos_token": "<a>", "eos_token": {"content": "<b>"}}')
    assert (load_tokenizer(tmp_path).bos, load_tokenizer(tmp_path).eos) == (0, 1)
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": null}')
    assert (load_tokenizer(tmp_path).bos, load_tokenizer(tmp_path).eos) == (None, 1)


@pytest.mark.parametrize("kind", ["model", "json"])
@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
def test_special_tokens_of_another_type_are_refused_by_name(folder, tmp_path, kind, file):
    (tmp_path / f"tokenizer.{kind}").write_bytes((folder / f"plain/tokenizer.{kind}").read_bytes())
    for name in ("bos_token", "eos_token"):
        for value in (5, True, [1], "\ud800", {"content": 5}, {"content": ["</s>"]}):
            (tmp_path / file).write_text(json.dumps({name: value}))
            with pytest.raises(UserError, match=rf"{file}: {name}.* = .*: expected a text"):
                load_tokenizer(tmp_path)
    (tmp_path / file).write_text('{"add_bos_token": "no"}')
    with pytest.raises(UserError, match=rf"{file}: add_bos_token = 'no': expected true or false"):
        load_tokenizer(tmp_path)
    (tmp_path / file).write_text('{"a":' * 50_000)
    with pytest.raises(UserError, match=rf"{file} is damaged: .*nested too deeply"):
        load_tokenizer(tmp_path)


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
        "x.txt": "unsupported tokenizer file; supported endings",
        "absent.json": "no tokenizer at",
        "broken/tokenizer.json": "tokenizer_config.json is damaged",
        "": "no tokenizer at .*tokenizer.model",
    }.items():
        with pytest.raises(UserError, match=message):
            load_tokenizer(tmp_path / name)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[hf\]'"):
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
