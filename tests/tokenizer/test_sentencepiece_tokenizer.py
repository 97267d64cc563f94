import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.sample import pieces
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from baichuan_jax.tokenizer.symbols import BAICHUAN

CORPUS = [
    "The people of the United States ordained in 1787 a constitution; it has 7 articles and 27 amendments.",
    "    def __init__(self, value=None):\n        self.value = value\n        return value",
    "中国人民银行一九九八年宣布,新的世纪充满希望。我们的生活越来越好,2024年有365天。",
] * 40
CORPUS = [line for text in CORPUS for line in pieces(text)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    train_tokenizer(TokenizerConfig(vocab=480, character_coverage=0.99), iter(CORPUS), path)
    return SentencePieceTokenizer(path)


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


@settings(max_examples=500, deadline=None)
@given(text | st.lists(st.sampled_from(["\u2581", " ", "  ", "\r\n", "\t", "1", "中", "e\u0301", "</s>"])).map("".join))
@example("\u2581 \u2581\u2581a")
@example("\x00\x01\x7f\x80\uffff\U0010ffff")
@example("<s>a</s><unk><0x41>")
def test_lossless_and_free_of_special_ids(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not {tokenizer.unk, tokenizer.bos, tokenizer.eos} & set(ids)
    assert tokenizer.byte_lengths()[ids].sum() == len(text.encode())


def test_batches_encode_like_single_texts(tokenizer):
    texts = ["a b", "x\u2581y", "", "中国 12"]
    assert [ids.tolist() for ids in tokenizer.encode_batch(texts, threads=2)] == list(map(tokenizer.encode, texts))
    assert tokenizer.encode_batch([]) == []


def test_ids_and_pieces_are_the_recipes(tokenizer):
    pieces = [tokenizer._model.id_to_piece(id) for id in range(tokenizer.vocab)]
    assert pieces[:3] == ["<unk>", "<s>", "</s>"]
    assert tokenizer.vocab == 480
    learned = pieces[259:]
    assert any(len(piece) > 3 for piece in learned)
    assert max(sum(character.isdigit() for character in piece) for piece in learned) == 1
    assert not any(any(c.isdigit() for c in piece) and len(piece) > 1 for piece in learned), "digits stand alone"


def test_long_texts_are_encoded_in_chunks_to_the_same_ids(tokenizer):
    """SentencePiece on the whole text is the reference."""
    texts = ["\n".join(CORPUS), "\n" * 1500, " \n " * 800, "中国人民\n\n" * 300 + "x", "no end " * 300]
    whole = tokenizer._model.encode(texts)
    assert [ids.tolist() for ids in tokenizer.encode_batch(texts)] == whole


def test_special_ids_come_only_when_asked_for(tokenizer):
    text = "a</s><s>b"
    assert tokenizer.encode(text, specials=True) == [*tokenizer.encode("a"), 2, 1, *tokenizer.encode("b")]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_spans_are_where_the_ids_stand(tokenizer):
    text = " 中国 a\u2581𝄞"
    spans = tokenizer.spans(text)
    assert [text.encode()[start:end] for start, end in spans] == [
        tokenizer.token_bytes(id) for id in tokenizer.encode(text)
    ]
    assert spans[-1][1] == len(text.encode())


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """Return a tokenizer in the layout of the public vocabulary."""
    path = tmp_path_factory.mktemp("public") / "tokenizer.model"
    train_tokenizer(TokenizerConfig(vocab=800, character_coverage=0.99, layout="baichuan"), iter(CORPUS), path)
    return SentencePieceTokenizer(path)


def test_the_public_layout(public):
    pieces = [public._model.id_to_piece(id) for id in range(public.vocab)]
    assert pieces[3:393] == list(BAICHUAN)
    assert pieces[393:649] == [f"<0x{byte:02X}>" for byte in range(256)]
    assert (pieces[5], pieces[52], pieces[93], pieces[392]) == ("\n", "0", "<reserved_0>", "<reserved_299>")
    assert public.vocab == 800


@given(text | st.lists(st.sampled_from(["<p>", "<reserved_7>", "<SEP>", "</p>", "```", "7", "\n"])).map("".join))
@settings(max_examples=200, deadline=None)
def test_the_public_layout_is_lossless_and_reserved_ids_stay_unused(public, text):
    ids = public.encode(text)
    assert public.decode(ids) == text
    assert not set(ids) & {0, 1, 2, 3, 4, *range(93, 393)}
    assert public.encode("<p>") == [19]
    assert public.encode("<reserved_7>", specials=True) == [100]


def test_training_is_deterministic(tokenizer, tmp_path):
    cfg = TokenizerConfig(vocab=480, character_coverage=0.99)
    models = []
    for name in ("a", "b"):
        train_tokenizer(cfg, iter(CORPUS), tmp_path / name)
        models.append((tmp_path / name).read_bytes())
    assert models[0] == models[1]


def test_more_pieces_than_the_text_has(tmp_path):
    with pytest.raises(
        UserError, match=r"TokenizerConfig.vocab = 60000: the training text supports at most \d+ pieces"
    ):
        train_tokenizer(TokenizerConfig(vocab=60_000), iter(CORPUS), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_fewer_pieces_than_characters(tmp_path):
    with pytest.raises(UserError, match=r"TokenizerConfig.vocab = 262 .*character_coverage"):
        train_tokenizer(TokenizerConfig(vocab=262, character_coverage=1.0), iter(CORPUS), tmp_path / "m")


@pytest.mark.parametrize("content", [None, b"not a model"])
def test_missing_or_broken_model(tmp_path, content):
    path = tmp_path / "tokenizer.model"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"tokenizer.model"):
        SentencePieceTokenizer(path)


def test_byte_lengths_of_special_ids_are_zero(tokenizer):
    np.testing.assert_array_equal(tokenizer.byte_lengths()[:4], [0, 0, 0, 1])
