"""What stands in better documents goes, once, and nothing is lost with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.dedup.repeated import Compared, contained, first_occurrences, repeated

# Documents as lists of clusters, one for each sentence.
CORPORA = st.lists(st.lists(st.integers(0, 6), max_size=6), min_size=1, max_size=8)
SHARES = st.sampled_from([0.25, 0.5, 0.8, 1.0])


def arrays(corpus):
    """Return (clusters, documents, positions, characters)."""
    rows = [(cluster, number, at) for number, document in enumerate(corpus) for at, cluster in enumerate(document)]
    clusters, documents, positions = np.array(rows, np.int64).reshape(-1, 3).T
    return clusters, documents, positions, 10 + clusters


NO_PASSAGES = Compared(np.zeros(0, np.uint64), *(np.zeros(0, np.int64) for _ in range(3)))


def holders(corpus, rank, share, other=0, order=None):
    """Call `contained`; `other`: characters of each document that are in no sentence given."""
    clusters, documents, positions, characters = arrays(corpus)
    order = np.arange(len(clusters)) if order is None else order
    whole = np.bincount(documents, characters, minlength=len(corpus)).astype(np.int64) + other
    sentences = Compared(*(column[order] for column in (clusters, documents, positions, characters)))
    return contained(sentences, NO_PASSAGES, np.array(rank), whole, share)


def judge(corpus, rank, share, other=0, order=None):
    return holders(corpus, rank, share, other, order) >= 0


def reference(corpus, rank, share):
    """Return the definition, from the best document to the worst."""
    held, gone = set(), [False] * len(corpus)
    for number in sorted(range(len(corpus)), key=rank.__getitem__):
        whole = sum(10 + cluster for cluster in corpus[number])
        inside = sum(10 + cluster for cluster in corpus[number] if cluster in held)
        gone[number] = whole > 0 and inside >= share * whole
        if not gone[number]:
            held.update(corpus[number])
    return gone


@settings(max_examples=400)
@given(CORPORA, SHARES, st.randoms())
def test_documents_inside_better_ones_go(corpus, share, rng):
    rank = rng.sample(range(len(corpus)), len(corpus))
    assert judge(corpus, rank, share).tolist() == reference(corpus, rank, share)


@settings(max_examples=200)
@given(CORPORA, SHARES, st.integers(2, 4), st.randoms())
def test_the_order_of_the_sentences_does_not_matter(corpus, share, minimum, rng):
    rank = np.array(rng.sample(range(len(corpus)), len(corpus)))
    clusters, documents, positions, _ = arrays(corpus)
    order = np.array(rng.sample(range(len(clusters)), len(clusters)), np.int64)
    kept = repeated(clusters, documents, positions, rank, minimum)
    shuffled = repeated(clusters[order], documents[order], positions[order], rank, minimum)
    assert (np.where(shuffled < 0, -1, order[shuffled]) == kept[order]).all()
    assert (holders(corpus, rank, share, order=order) == holders(corpus, rank, share)).all()


@settings(max_examples=300)
@given(CORPORA, st.integers(2, 4), st.randoms())
def test_one_sentence_of_a_cluster_stays(corpus, minimum, rng):
    rank = np.array(rng.sample(range(len(corpus)), len(corpus)))
    clusters, documents, positions, _ = arrays(corpus)
    kept = repeated(clusters, documents, positions, rank, minimum)
    stays = kept < 0
    assert stays[kept[~stays]].all()
    assert (clusters[kept[~stays]] == clusters[~stays]).all()
    for cluster in range(7):
        standing = [number for number, document in enumerate(corpus) if cluster in document]
        found = [(documents[at], positions[at]) for at in np.flatnonzero(stays & (clusters == cluster))]
        if len(standing) >= minimum:
            best = min(standing, key=rank.__getitem__)
            assert found == [(best, corpus[best].index(cluster))]
        else:
            assert len(found) == sum(document.count(cluster) for document in corpus)


@settings(max_examples=200)
@given(CORPORA, SHARES, st.randoms())
def test_no_cluster_is_lost_with_a_document_that_holds_all_of_it_for_others(corpus, share, rng):
    """What a document has that went stands, in this share at least, in documents that stay."""
    rank = np.array(rng.sample(range(len(corpus)), len(corpus)))
    clusters, documents, positions, _ = arrays(corpus)
    gone = judge(corpus, rank, share)
    left = ~gone[documents]
    drop = repeated(clusters[left], documents[left], positions[left], rank, 2) >= 0
    remaining = set(clusters[left][~drop].tolist())
    assert remaining == set(clusters[left].tolist())
    for document in np.flatnonzero(gone):
        inside = sum(10 + cluster for cluster in corpus[document] if cluster in remaining)
        assert inside >= share * sum(10 + cluster for cluster in corpus[document])


def test_a_document_that_goes_holds_nothing_for_others():
    corpus = [[1, 2, 3, 4], [1, 2, 3, 4, 5], [5, 6]]  # the second lies in the first but for the 5
    assert judge(corpus, [0, 1, 2], 0.7).tolist() == [False, True, False]
    assert judge(corpus, [0, 1, 2], 0.4).tolist() == [False, True, False]
    assert judge(corpus, [1, 0, 2], 0.4).tolist() == [True, False, True]


@pytest.mark.parametrize(("other", "goes"), [(0, True), (5, True), (6, False), (24, False)])
def test_the_share_is_of_all_characters(other, goes):
    assert judge([[1, 2], [1, 2]], [0, 1], 0.8, other).tolist() == [False, goes]


@settings(max_examples=200)
@given(CORPORA, SHARES, st.randoms())
def test_the_document_named_stays_and_holds_the_most(corpus, share, rng):
    rank = rng.sample(range(len(corpus)), len(corpus))
    found = holders(corpus, rank, share)
    gone = np.flatnonzero(found >= 0)
    stay = sorted(np.flatnonzero(found < 0), key=rank.__getitem__)
    for number in gone:
        held = [0] * len(corpus)
        for cluster in corpus[number]:
            best = next((other for other in stay if cluster in corpus[other]), None)
            if best is not None and rank[best] < rank[number]:
                held[best] += 10 + cluster
        assert held[found[number]] == max(held) > 0


def test_a_long_chain():
    """Each document is inside the one before it: every second one goes."""
    corpus = [[number, number + 1, number + 1] for number in range(0, 60)]
    gone = judge(corpus, range(60), 0.3)
    assert gone.tolist() == [number % 2 == 1 for number in range(60)]


def test_one_sentence_for_each_key():
    keys = np.array([7, 5, 7, 5, 7], np.uint64)
    documents, positions = np.array([0, 0, 1, 1, 1]), np.array([3, 0, 9, 2, 4])
    assert first_occurrences(keys, documents, positions, np.array([0, 1])).tolist() == [1, 0]
    assert first_occurrences(keys, documents, positions, np.array([1, 0])).tolist() == [3, 4]
    assert first_occurrences(keys[:0], documents[:0], positions[:0], np.array([0])).shape == (0,)
