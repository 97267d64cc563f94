"""Every string comes back as it was, and no id is unknown or special."""

import random

import numpy as np
import pytest

from baichuan_jax.tokenizer.tokenizer_files import load_tokenizer
from tests.tokenizer.fuzz import random_text


@pytest.mark.parametrize("number", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("layout", ["plain", "baichuan"])
def test_random_unicode_is_lossless(folder, number, layout):
    tokenizer, rng = load_tokenizer(folder / layout), random.Random(number)
    texts = [random_text(rng) for _ in range(number)]
    assert {ord(character) >> 16 for text in texts for character in text} == set(range(17)), "every plane"
    encoded = tokenizer.encode_batch(texts, threads=2)
    assert all(tokenizer.decode(ids) == text for ids, text in zip(encoded, texts))
    seen = np.unique(np.concatenate(encoded)).tolist()
    assert not {0, *tokenizer.specials.values()} & set(seen)
