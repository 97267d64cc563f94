"""Splits depend on the text alone, are never empty, and agree with the search for duplicates."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.dedup.exact import Seen, text_hash
from baichuan_jax.data.split import split_documents

KEYS = st.sets(st.integers(0, 2**64 - 1), min_size=1, max_size=60)


def split(keys, fraction):
    return {key: side for side, key in split_documents(((key, key) for key in keys), fraction)}


@settings(max_examples=200)
@given(KEYS, st.floats(0.001, 0.999), st.randoms())
def test_order_does_not_matter_and_nothing_is_lost(keys, fraction, rng):
    shuffled = list(keys)
    rng.shuffle(shuffled)
    sides = split(sorted(keys), fraction)
    assert split(shuffled, fraction) == sides
    assert sides.keys() == keys
    if len(keys) > 1:
        assert set(sides.values()) == {"train", "validation"}
    else:
        assert set(sides.values()) == {"train"}


def test_the_fraction_is_met():
    rng = random.Random(0)
    sides = split([rng.getrandbits(64) for _ in range(20_000)], 0.1)
    assert 1800 < sum(side == "validation" for side in sides.values()) < 2200


def test_nothing_to_split():
    assert split([], 0.5) == {}


def test_hash_ignores_white_space_only():
    assert text_hash("a b\n\nc") == text_hash(" a\tb c ")
    assert text_hash("a b c") != text_hash("a b d")
    assert text_hash("你好") == 0x551C5A762E8CCEDC  # stored in datasets: must not change


def test_seen_keeps_the_first():
    seen = Seen()
    assert [seen.add(text_hash(text)) for text in ("a", "b", "a", "a ", "c")] == [True, True, False, False, True]
