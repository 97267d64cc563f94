"""The exact similarity is that of the definition, however the work is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.dedup import jaccard as module
from baichuan_jax.data.dedup.jaccard import ExactJaccard
from baichuan_jax.data.dedup.shingles import BATCH, TOKENS

TEXTS = st.lists(st.text("甲乙丙 ab，", max_size=14), min_size=1, max_size=12)


def similarity(first, second, width=TOKENS):
    """Return that of the first and the second text of each pair."""
    texts, pairs = [*first, *second], np.arange(len(first))
    exact = ExactJaccard(lambda indices: [texts[i] for i in indices], np.array([len(text) for text in texts]), width)
    return exact(pairs, pairs + len(first))


def shingle_set(text, width):
    """Return the definition, one text at a time."""
    tokens = "".join(f" {c} " if c in "甲乙丙" else " " if c == "，" else c for c in text).split()
    return {tuple(tokens[start : start + width]) for start in range(max(len(tokens) - width + 1, 1)) if tokens}


def reference(first, second, width):
    first, second = shingle_set(first, width), shingle_set(second, width)
    return len(first & second) / len(first | second) if first | second else 1.0


@settings(max_examples=200)
@given(TEXTS, st.integers(1, 5), st.randoms())
def test_it_is_the_share_of_the_definition(texts, width, rng):
    others = rng.choices(texts, k=len(texts))
    expected = [reference(first, second, width) for first, second in zip(texts, others)]
    assert similarity(texts, others, width).tolist() == expected


@settings(max_examples=100)
@given(TEXTS, st.sampled_from([1, 20, 1 << 20]), st.randoms())
def test_pairs_of_indices_are_compared_in_parts(texts, at_once, rng):
    first, second = (np.array(rng.choices(range(len(texts)), k=30)) for _ in range(2))
    sizes = []

    def fetch(indices):
        sizes.append(sum(len(texts[index]) for index in indices))
        return [texts[index] for index in indices]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", at_once)
        found = ExactJaccard(fetch, np.array([len(text) for text in texts]), 2)(first, second)
    assert found.tolist() == [reference(texts[i], texts[j], 2) for i, j in zip(first, second)]
    assert max(sizes) < at_once + 2 * max(map(len, texts)) + 1


def test_nothing_to_compare():
    nothing = np.empty(0, np.int64)
    assert ExactJaccard(lambda indices: [], nothing)(nothing, nothing).shape == (0,)


def test_long_texts():
    """They are cut where they are, so a few shingles at the cuts differ when one is shifted."""
    rng = np.random.default_rng(0)
    text = "".join(map(chr, rng.integers(0x4E00, 0x9FA5, 3 * BATCH)))
    same, shifted, half = similarity([text] * 3, [text, "前言" + text, text[: len(text) // 2]])
    assert same == 1
    assert 0.9999 < shifted < 1
    assert abs(half - 0.5) < 1e-3
