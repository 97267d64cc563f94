"""Near-duplicates are found, nothing else is, and who stays does not depend on the order of the texts."""

import random
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.dedup import near_duplicates
from baichuan_jax.data.sources.demo import read_demo
from baichuan_jax.data.dedup.minhash import signatures
from baichuan_jax.data.dedup.near_duplicates import duplicates
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.dedup.shingles import shingles

BANDS, ROWS = 4, 2
# Rows of few different numbers, so that many bands agree by chance.
SIGNATURES = st.lists(st.lists(st.integers(0, 2), min_size=BANDS * ROWS, max_size=BANDS * ROWS), max_size=12).map(
    lambda rows: np.array(rows, np.uint32).reshape(-1, BANDS * ROWS)
)


def reference(rows, rank, threshold):
    """The definition: pairs that share a band and agree enough are joined; of those joined the lowest rank stays."""
    groups = [{index} for index in range(len(rows))]
    for first in range(len(rows)):
        for second in range(first):
            equal = rows[first] == rows[second]
            if equal.reshape(BANDS, ROWS).all(1).any() and equal.mean() >= threshold:
                joined = groups[first] | groups[second]
                for index in joined:
                    groups[index] = joined
    return [min(group, key=rank.__getitem__) for group in groups]


def jaccard(first, second):
    first, second = (set(shingles([text])[0].tolist()) for text in (first, second))
    return len(first & second) / len(first | second)


@settings(max_examples=300)
@given(SIGNATURES, st.sampled_from([0.1, 0.5, 0.75, 1.0]), st.randoms(), st.sampled_from([1, 2, 1 << 14]))
def test_every_alike_pair_is_joined_and_no_other(rows, threshold, rng, at_once):
    rank = rng.sample(range(100), len(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "AT_ONCE", at_once)
        stays = duplicates(rows, rank, threshold, BANDS)
    assert stays.tolist() == reference(rows, rank, threshold)
    assert (stays[stays] == stays).all()


@settings(max_examples=100)
@given(SIGNATURES, st.randoms())
def test_the_order_of_the_texts_does_not_matter(rows, rng):
    rank = [(rng.randrange(3), f"id{index}") for index in range(len(rows))]
    stays = duplicates(rows, rank, 0.6, BANDS)
    order = rng.sample(range(len(rows)), len(rows))
    shuffled = duplicates(rows[order], [rank[index] for index in order], 0.6, BANDS)
    assert [order[index] for index in shuffled] == stays[order].tolist()


def test_a_large_bucket_of_copies_is_joined_at_once(monkeypatch):
    compared = []

    def counted(rows, first, second):
        compared.append(len(first))
        return agreement(rows, first, second)

    agreement = near_duplicates._agreement
    monkeypatch.setattr(near_duplicates, "_agreement", counted)
    texts = 20_000
    stays = duplicates(np.ones((texts, 112), np.uint32), -np.arange(texts), 0.8)
    assert (stays == texts - 1).all()
    assert sum(compared) == texts - 1


def test_a_large_bucket_of_texts_a_little_alike_has_bounded_cost():
    rows = np.arange(2000 * 112, dtype=np.uint32).reshape(2000, 112)
    rows[:, :8] = 0  # one band
    pair = [300, 300 + near_duplicates.WINDOW]
    rows[pair] = rows[300]
    stays = duplicates(rows, range(2000), 0.8)
    assert np.flatnonzero(stays != np.arange(2000)).tolist() == pair[1:]


def test_a_pair_that_is_not_like_the_first_of_its_bucket_is_found():
    rows = np.zeros((3, 8), np.uint32)
    rows[1:, 2:] = 1
    assert duplicates(rows, range(3), 0.8, BANDS).tolist() == [0, 1, 1]


def test_a_chain_is_joined():
    rows = np.zeros((40, 112), np.uint32)
    for index in range(40):
        rows[index, : 2 * index] = 1
    order = random.Random(0).sample(range(40), 40)
    stays = duplicates(rows[order], order, 0.9)
    assert (stays == order.index(0)).all()


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9])
def test_the_curve(similarity):
    """Signatures that agree in each row with this probability are compared as often as the curve says."""
    rng = np.random.default_rng(0)
    pairs = 3000
    rows = rng.integers(2**32, size=(pairs, 2, 112), dtype=np.uint32)
    rows[:, 1] = np.where(rng.random((pairs, 112)) < similarity, rows[:, 0], rows[:, 1])
    found = np.mean(duplicates(rows.reshape(-1, 112), range(2 * pairs), 0.01)[1::2] % 2 == 0)
    expected = 1 - (1 - similarity**8) ** 14
    assert abs(found - expected) < 4 * (expected * (1 - expected) / pairs) ** 0.5 + 1e-3


def edited(text, kind, rng):
    if kind == "word":
        start = rng.randrange(len(text))
        return text[:start] + "改动" + text[start + 2 :]
    if kind == "sentence":
        return text + "下次还来。"
    return text.replace("，", " ").replace("。", "！").replace("、", ",") + "~~~"


def reviews():
    """Returns 3,000 different Chinese reviews."""
    return list(islice(dict.fromkeys(normalize(review.text) for review in read_demo("zh_reviews", "replace")), 3000))


def found(texts, threshold):
    return duplicates(signatures(texts), [(-len(text), index) for index, text in enumerate(texts)], threshold)


def test_edited_copies_of_real_text_are_found():
    originals, rng = reviews(), random.Random(0)
    copies = [edited(text, kind, rng) for kind in ("word", "sentence", "punctuation") for text in originals]
    stays = found(originals + copies, 0.8)
    near = [number for number, copy in enumerate(copies) if jaccard(copy, originals[number % 3000]) >= 0.9]
    missed = [number for number in near if stays[3000 + number] != stays[number % 3000]]
    assert len(near) > 4500
    assert len(missed) <= len(near) // 2000  # 0.8 is 3.5 standard errors below 0.9


def test_halves_of_real_text_are_not_joined_to_the_whole():
    originals = reviews()
    stays = found(originals + [text[: len(text) // 2] for text in originals], 0.8)
    unlike = [number for number, text in enumerate(originals) if jaccard(text, text[: len(text) // 2]) < 0.6]
    assert len(unlike) > 2800
    assert all(stays[3000 + number] != stays[number] for number in unlike)


def test_wrong_settings():
    with pytest.raises(UserError, match="bands = 15: expected a divisor of the 112 permutations"):
        duplicates(signatures(["a"]), [0], 0.8, bands=15)
    with pytest.raises(UserError, match=r"threshold = 80: expected a share in \(0, 1\]"):
        duplicates(signatures(["a"]), [0], 80)
