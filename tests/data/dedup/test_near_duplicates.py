"""Near-duplicates go, nothing else does, and who stays depends on the texts and their ranks alone."""

import random
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.dedup import bands, near_duplicates
from baichuan_jax.data.dedup.jaccard import ExactJaccard
from baichuan_jax.data.dedup.near_duplicates import BANDS, find_duplicates
from baichuan_jax.data.dedup.signatures import PERMUTATIONS, signatures
from baichuan_jax.data.sources.demo import read_demo

FEW_BANDS, ROWS = 4, 2
# Rows of few different numbers, so that many bands agree by chance.
SIGNATURES = st.lists(
    st.lists(st.integers(0, 2), min_size=FEW_BANDS * ROWS, max_size=FEW_BANDS * ROWS), min_size=1, max_size=16
).map(lambda rows: np.array(rows, np.uint32))
PLENTY = 1 << 30


def find(rows, rank, threshold, number=BANDS, memory=PLENTY, alike=None):
    """Search; unless told otherwise texts are as alike as their signatures."""
    rank = np.array(rank, np.int64)
    with tempfile.TemporaryDirectory() as scratch:
        compare = alike or (lambda first, second: np.mean(rows[first] == rows[second], axis=1))
        stays = find_duplicates(rows, rank, compare, threshold, number, memory, Path(scratch))
        assert not list(Path(scratch).iterdir())
    return stays


def reference(rows, rank, threshold):
    """Return the definition, from the best text to the worst."""
    stays = list(range(len(rows)))
    for text in sorted(stays, key=rank.__getitem__):
        equal = rows == rows[text]
        shared = equal.reshape(len(rows), FEW_BANDS, ROWS).all(2).any(1)
        alike = np.flatnonzero(shared & (equal.mean(1) >= threshold)).tolist()
        better = [other for other in alike if rank[other] < rank[text] and stays[other] == other]
        if better:
            stays[text] = min(better, key=rank.__getitem__)
    return stays


@settings(max_examples=300)
@given(SIGNATURES, st.sampled_from([0.1, 0.5, 0.75, 1.0]), st.randoms(), st.sampled_from([300, 2000, PLENTY]))
def test_who_goes_is_like_a_better_text_that_stays(rows, threshold, rng, memory):
    rank = rng.sample(range(len(rows)), len(rows))
    expected = reference(rows, rank, threshold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "AT_ONCE", 2 if memory < PLENTY else 1 << 14)
        patch.setattr(bands, "ROWS", 3 if memory < PLENTY else 1 << 15)
        stays = find(rows, rank, threshold, FEW_BANDS, memory)
    kept = stays == np.arange(len(rows))
    assert kept.tolist() == [leader == text for text, leader in enumerate(expected)]
    agreement = np.mean(rows == rows[stays], axis=1)
    assert kept[stays].all()
    assert (agreement >= threshold).all()
    assert all(rank[leader] < rank[text] for text, leader in enumerate(stays) if leader != text)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([5_000, 100_000]))
def test_neither_the_order_of_the_texts_nor_the_memory_matters(seed, memory):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, (150, FEW_BANDS * ROWS), dtype=np.uint32)
    rank = rng.permutation(150)
    stays = find(rows, rank, 0.6, FEW_BANDS)
    order = rng.permutation(150)
    shuffled = find(rows[order], rank[order], 0.6, FEW_BANDS, memory)
    assert (order[shuffled] == stays[order]).all()
    assert 0 < np.sum(stays == np.arange(150)) < 150


def test_a_memory_map_in_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(bands, "ROWS", 1000)
    rng = np.random.default_rng(0)
    rows = rng.integers(2**32, size=(5000, PERMUTATIONS), dtype=np.uint32)
    rows[4000:] = rows[rng.integers(4000, size=1000)]
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    rank = rng.permutation(5000)
    files = bands.bucket_files(bands.in_parts(mapped, rank), 5000, BANDS, 200_000, tmp_path, 13)
    assert len(files) == 32
    assert sum(file.stat().st_size > 0 for file in files) == 32
    assert (find(mapped, rank, 0.8, memory=200_000) == find(rows, rank, 0.8)).all()


def test_bands_that_hash_to_the_same_by_chance(monkeypatch):
    """Then a text stands in a bucket with texts that are not like it, and could with itself."""
    monkeypatch.setattr(bands, "mix", lambda values, salt: np.zeros_like(values))
    rows = np.eye(9, PERMUTATIONS, dtype=np.uint32)
    rows[:8] *= np.arange(8, dtype=np.uint32)[:, None] * 50
    alike = lambda first, second: (first // 3 == second // 3) * 1.0
    assert find(rows, range(9), 0.8, alike=alike).tolist() == [0, 0, 0, 3, 3, 3, 6, 6, 6]


def test_a_large_bucket_of_copies_is_left_at_once():
    compared = []

    def alike(first, second):
        compared.append(len(first))
        return np.ones(len(first))

    texts = 20_000
    stays = find(np.ones((texts, PERMUTATIONS), np.uint32), np.arange(texts)[::-1], 0.8, alike=alike)
    assert (stays == texts - 1).all()
    assert sum(compared) == texts - 1


def test_a_large_bucket_of_texts_a_little_alike_has_bounded_cost(monkeypatch):
    compared = []

    def counted(rows, first, second):
        compared.append(len(first))
        return agreement(rows, first, second)

    agreement = near_duplicates._agreement
    monkeypatch.setattr(near_duplicates, "_agreement", counted)
    texts = 4000
    rows = np.arange(texts * PERMUTATIONS, dtype=np.uint32).reshape(texts, -1)
    rows[:, :8] = 0  # one band
    rows[3900] = rows[3000]
    stays = find(rows, np.arange(texts), 0.8)
    assert np.flatnonzero(stays != np.arange(texts)).tolist() == [3900]
    assert sum(compared) < (near_duplicates.WINDOW + 1) * texts


def test_a_chain_is_not_joined():
    """Each is like its neighbours only: every second one stays, where joining all would leave one."""
    rows = np.zeros((40, PERMUTATIONS), np.uint32)
    for index in range(40):
        rows[index, : 2 * index] = np.arange(2 * index) + 1
    neighbours = lambda first, second: np.where(np.abs(first - second) == 1, 0.9, 0.1)
    stays = find(rows, np.arange(40), 0.8, alike=neighbours)
    assert stays.tolist() == [index - index % 2 for index in range(40)]


def test_signatures_that_agree_well_enough_do_not_decide():
    asked = []

    def alike(first, second):
        asked.extend(zip(first.tolist(), second.tolist()))
        return np.array([0.79 if other == 1 else 0.8 for other in second])

    rows = np.zeros((4, PERMUTATIONS), np.uint32)
    rows[3, 40:] = 1  # agrees in 0.36: below any doubt
    assert find(rows, range(4), 0.8, alike=alike).tolist() == [0, 1, 0, 3]
    assert sorted(asked) == [(0, 1), (0, 2)]


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9])
def test_the_curve(similarity):
    """Signatures that agree in each row with this probability are compared as often as the curve says."""
    rng = np.random.default_rng(0)
    pairs = 3000
    rows = rng.integers(2**32, size=(pairs, 2, PERMUTATIONS), dtype=np.uint32)
    rows[:, 1] = np.where(rng.random((pairs, PERMUTATIONS)) < similarity, rows[:, 0], rows[:, 1])
    found = np.mean(find(rows.reshape(-1, PERMUTATIONS), range(2 * pairs), 0.01)[1::2] % 2 == 0)
    expected = 1 - (1 - similarity**8) ** 14
    assert abs(found - expected) < 4 * (expected * (1 - expected) / pairs) ** 0.5 + 1e-3


def pieces(text, length=600):
    return [text[start : start + length] for start in range(0, len(text), length)]


def edited(text, rng):
    """Return a copy with some words changed, and now and then its end cut off."""
    characters = list(text)
    for _ in range(rng.randrange(1 + len(text) // 150)):
        characters[rng.randrange(len(characters))] = rng.choice("的一是在不了")
    return "".join(characters[: len(text) - rng.choice([0, 0, len(text) // 12])])


@pytest.mark.parametrize("domain", ["zh_reviews", "en_speeches"])
def test_edited_copies_of_real_text(domain):
    documents = (part for document in read_demo(domain, "skip") for part in pieces(document.text))
    originals = list(islice(dict.fromkeys(text for text in documents if len(text) >= 100), 2000))
    rng = random.Random(0)
    texts = originals + [edited(text, rng) for text in originals]
    half = len(originals)
    rank = np.array(rng.sample(range(2 * half), 2 * half))
    exact = ExactJaccard(lambda indices: [texts[index] for index in indices], np.array([len(text) for text in texts]))
    stays = find(signatures(texts), rank, 0.8, alike=exact)
    gone = np.flatnonzero(stays != np.arange(2 * half))
    near = np.flatnonzero(exact(np.arange(half), np.arange(half, 2 * half)) >= 0.85)
    both = np.isin(near, gone, invert=True) & np.isin(near + half, gone, invert=True)
    assert len(near) > 500
    assert both.sum() <= 0.01 * len(near)
    assert (exact(gone, stays[gone]) >= 0.8).all()


def test_nothing_to_search():
    assert find(np.empty((0, PERMUTATIONS), np.uint32), [], 0.8).shape == (0,)
    assert find(signatures(["a"]), [0], 0.8).tolist() == [0]


def test_wrong_settings():
    with pytest.raises(UserError, match="bands = 15: expected a divisor of the 112 permutations"):
        find(signatures(["a"]), [0], 0.8, 15)
    with pytest.raises(UserError, match=r"threshold = 80: expected a share in \(0, 1\]"):
        find(signatures(["a"]), [0], 80)
