"""An n-gram has one slot wherever it stands, and a text has no n-gram that is not its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.data.dedup.shingles import tokens
from baichuan_jax.data.quality.features import ngrams, slots, sums

TEXTS = st.lists(st.lists(st.sampled_from("a b c 中 文 字".split()), max_size=7), min_size=1, max_size=6)
FEATURES = 30  # so many slots that different n-grams have different ones


def expected(words):
    """Return the definition: (order, position) -> n-gram."""
    orders = range(1, 4)
    return {(order - 1, at): tuple(words[at : at + order]) for order in orders for at in range(len(words) - order + 1)}


@given(TEXTS)
def test_slots_are_those_of_the_n_grams_of_each_text(texts):
    hashes, counts = tokens([" ".join(words) for words in texts])
    found = slots(hashes, counts, FEATURES)
    assert counts.tolist() == [len(words) for words in texts]
    assert found.shape == (3, counts.sum())
    slot_of, start = {}, 0
    for words, number in zip(texts, ngrams(counts)):
        grams = expected(words)
        assert number == len(grams)
        for order in range(3):
            for at in range(len(words)):
                slot = found[order, start + at]
                if (order, at) in grams:
                    assert 0 <= slot < 1 << FEATURES
                    assert slot_of.setdefault(grams[order, at], slot) == slot
                else:
                    assert slot == 1 << FEATURES
        start += len(words)
    assert len(set(slot_of.values())) == len(slot_of)


@given(TEXTS)
def test_sums_are_of_each_text_alone(texts):
    rng = np.random.default_rng(0)
    table = np.append(rng.integers(-9, 9, 1 << 10), 0).astype(np.float32)
    texts = [" ".join(words) for words in texts]
    hashes, counts = tokens(texts)
    summed = sums(table, slots(hashes, counts, 10), counts)
    for text, total in zip(texts, summed):
        hashes, counts = tokens([text])
        assert total == table[slots(hashes, counts, 10)].sum()


@pytest.mark.parametrize("features", [10, 18])
def test_slots_are_filled_evenly(features):
    hashes, counts = tokens(["".join(map(chr, range(0x4E00, 0x9FA5)))])
    for row, number in zip(slots(hashes, counts, features), (20901, 20900, 20899)):
        used = len(set(row.tolist()) - {1 << features})
        chance = (1 << features) * (1 - (1 - 0.5**features) ** number)
        assert used == pytest.approx(chance, rel=0.01)


def test_slots_are_stored_with_the_weights_and_must_not_change():
    hashes, counts = tokens(["中文 text", "A"])
    assert slots(hashes, counts, 18).tolist() == [
        [209378, 152415, 219063, 18283],
        [1292, 144384, 262144, 262144],
        [231366, 262144, 262144, 262144],
    ]
