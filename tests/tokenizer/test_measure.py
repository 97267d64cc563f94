import pytest

from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.measure import Measured, Meter
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer


@pytest.fixture(scope="module")
def meter(tmp_path_factory) -> Meter:
    """Of bytes, the space, a few letters and the word "the"."""
    path = tmp_path_factory.mktemp("m") / "m.model"
    train_tokenizer(TokenizerConfig(vocab=259 + 12, character_coverage=1.0), iter(["the then 1 中 the the"] * 9), path)
    return Meter(SentencePieceTokenizer(path))


def test_counts(meter):
    texts = ["the 12", "中国\u2581"]
    found = meter.measure(texts)
    assert (found.documents, found.whole) == (2, 2)
    assert (found.characters, found.bytes) == (9, 6 + 9)
    assert (found.words, found.digits) == (2, 2)
    assert found.unknown == 0
    assert found.split == 3 + 3, "国 and U+2581 have no piece: three bytes each"
    assert found.digit_tokens == 1 + 1, "1 has a piece and 2 is a byte"
    assert found.per_character == found.tokens / 9


def test_counts_add_up(meter):
    one, other, both = (meter.measure(texts) for texts in (["the 1"], ["中"], ["the 1", "中"]))
    assert (one + other).per_character == both.per_character
    assert isinstance(one + other, Measured)
    assert meter.measure([]).tokens == 0
