"""Splits depend on the text alone and are never empty."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.dedup.exact import text_hash
from baichuan_jax.data.split import held_out

KEYS = st.sets(st.integers(0, 2**64 - 1), min_size=1, max_size=60)


def split(keys, fraction):
    return dict(zip(keys, held_out(np.array(list(keys), np.uint64), fraction).tolist()))


@settings(max_examples=200)
@given(KEYS, st.floats(0.001, 0.999), st.randoms())
def test_order_does_not_matter_and_no_split_is_empty(keys, fraction, rng):
    shuffled = list(keys)
    rng.shuffle(shuffled)
    sides = split(sorted(keys), fraction)
    assert split(shuffled, fraction) == sides
    assert set(sides.values()) == ({True, False} if len(keys) > 1 else {False})


@given(KEYS, st.integers(0, 2**64 - 1), st.floats(0.001, 0.999))
def test_another_document_moves_none_but_the_smallest(keys, more, fraction):
    before, after = split(keys, fraction), split(keys | {more}, fraction)
    moved = {key for key in keys if before[key] != after[key]}
    assert moved <= {min(keys)}


def test_the_fraction_is_met():
    rng = random.Random(0)
    assert 1800 < sum(split([rng.getrandbits(64) for _ in range(20_000)], 0.1).values()) < 2200


def test_nothing_to_split():
    assert split([], 0.5) == {}


def test_hash_ignores_white_space_only():
    assert text_hash("a b\n\nc") == text_hash(" a\tb c ")
    assert text_hash("a b c") != text_hash("a b d")
    assert text_hash("你好") == 0x551C5A762E8CCEDC  # stored in datasets: must not change
