from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.tokenizer import word_cache
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer

LINES = ["The people of the United States", "    def __init__(self, value=None):", " 中国 人民 12", "the  end"] * 50
parts = st.sampled_from(
    ["the", " people", "  ", "\n", "\r\n", "\t", "中国", "1", " 12", "\u3000", "e\u0301", "\U0010ffff"]
)


@pytest.fixture(scope="module", params=["plain", "baichuan"])
def tokenizer(request, tmp_path_factory) -> SentencePieceTokenizer:
    path = tmp_path_factory.mktemp("words") / "tokenizer.model"
    train_tokenizer(
        TokenizerConfig(vocab=320 if request.param == "plain" else 700, layout=request.param), iter(LINES), path
    )
    return SentencePieceTokenizer(path)


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(st.lists(parts, max_size=30).map("".join), max_size=4))
def test_words_have_the_ids_that_they_have_in_the_text(tokenizer, texts):
    """SentencePiece on the whole text is the reference."""
    cache = word_cache.WordCache(tokenizer._encode_lines)
    whole = [tokenizer._model.encode(text) for text in texts]
    for _ in range(2):  # learned, then known
        assert [ids.tolist() for ids in cache.encode(texts, 1)] == whole


def test_a_full_cache_forgets_and_gives_the_same_ids(tokenizer, monkeypatch):
    monkeypatch.setattr(word_cache, "SIZE", 3)
    cache = word_cache.WordCache(tokenizer._encode_lines)
    texts = ["a b c d e f", "the people of the States"]
    found = [cache.encode([text], 1)[0].tolist() for text in texts]
    assert found == [tokenizer._model.encode(text) for text in texts]
    assert len(cache._ids) == 5, "those of the last text"


def test_an_interrupted_lookup_is_made_up_for(tokenizer):
    failing = True

    def encode_lines(texts, threads):
        if failing:
            raise KeyboardInterrupt
        return tokenizer._encode_lines(texts, threads)

    cache = word_cache.WordCache(encode_lines)
    with pytest.raises(KeyboardInterrupt):
        cache.encode(["the people"], 1)
    failing = False
    assert np.array_equal(cache.encode(["people the people"], 1)[0], tokenizer._model.encode("people the people"))


def test_a_vocabulary_with_pieces_over_spaces_is_not_cut_at_them(tokenizer, tmp_path):
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    model = ModelProto.FromString(tokenizer._model.serialized_model_proto())
    model.pieces[-1].piece = "the▁people"
    path = Path(tmp_path / "tokenizer.model")
    path.write_bytes(model.SerializeToString())
    odd = SentencePieceTokenizer(path)
    assert odd._words is None
    assert odd.encode("the people of the people") == odd._model.encode("the people of the people")
