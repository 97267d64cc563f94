import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.tokenizer import Tokenizer
from baichuan_jax.tokenizer.train import sample_lines, train

CORPUS = [
    "The people of the United States ordained in 1787 a constitution; it has 7 articles and 27 amendments.",
    "    def __init__(self, value=None):\n        self.value = value\n        return value",
    "中国人民银行一九九八年宣布,新的世纪充满希望。我们的生活越来越好,2024年有365天。",
] * 40


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    train(TokenizerConfig(vocab=480, character_coverage=0.99), sample_lines({"all": CORPUS}, 0), path)
    return Tokenizer(path)


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
    assert tokenizer.encode_batch(texts, threads=2) == [tokenizer.encode(text) for text in texts]


def test_ids_and_pieces_are_the_recipes(tokenizer):
    pieces = [tokenizer._model.id_to_piece(id) for id in range(tokenizer.vocab)]
    assert pieces[:3] == ["<unk>", "<s>", "</s>"]
    assert tokenizer.vocab == 480
    learned = pieces[259:]
    assert any(len(piece) > 3 for piece in learned)
    assert max(sum(character.isdigit() for character in piece) for piece in learned) == 1
    assert not any(any(c.isdigit() for c in piece) and len(piece) > 1 for piece in learned), "digits stand alone"


def test_training_is_deterministic(tokenizer, tmp_path):
    cfg = TokenizerConfig(vocab=480, character_coverage=0.99)
    models = []
    for name in ("a", "b"):
        train(cfg, sample_lines({"all": CORPUS}, 0), tmp_path / name)
        models.append((tmp_path / name).read_bytes())
    assert models[0] == models[1]


def test_more_pieces_than_the_text_has(tmp_path):
    with pytest.raises(UserError, match=r"TokenizerConfig.vocab = 60000: the training text has pieces for \d+ at most"):
        train(TokenizerConfig(vocab=60_000), iter(CORPUS), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_fewer_pieces_than_characters(tmp_path):
    with pytest.raises(UserError, match=r"TokenizerConfig.vocab = 262 .*character_coverage"):
        train(TokenizerConfig(vocab=262, character_coverage=1.0), iter(CORPUS), tmp_path / "m")


def test_the_sample_takes_the_same_share_from_every_domain():
    documents = {"small": ["a" * 99] * 1000, "large": ["b" * 9_999] * 1000}
    lines = list(sample_lines(documents, 40_000))
    size = {letter: sum(len(line) for line in lines if letter in line) for letter in "ab"}
    assert size["a"] == pytest.approx(20_000, rel=0.01)
    assert 20_000 <= size["b"] <= 30_000
    assert max(map(len, lines)) <= 4_000


@pytest.mark.parametrize("content", [None, b"not a model"])
def test_missing_or_broken_model(tmp_path, content):
    path = tmp_path / "tokenizer.model"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"tokenizer.model"):
        Tokenizer(path)


def test_byte_lengths_of_special_ids_are_zero(tokenizer):
    np.testing.assert_array_equal(tokenizer.byte_lengths()[:4], [0, 0, 0, 1])
