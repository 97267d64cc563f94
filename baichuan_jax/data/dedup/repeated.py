"""What goes because its sentences stand in better documents too: whole documents, and sentences.

Sentences that are equal or near-duplicates form a cluster. Arrays of sentences are parallel: `clusters`, int [n], any
number that the sentences of a cluster share; `documents`, int [n], and `positions`, int [n], where each stands. `rank`,
int [documents], is a permutation; the lowest is the best. No answer depends on the order of the sentences. Sentences
that stand nowhere else need not be given: they change nothing.
"""

from __future__ import annotations

import numpy as np

from baichuan_jax.data.dedup.runs import run_starts


def first_occurrences(keys: np.ndarray, documents: np.ndarray, positions: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Returns the index of one sentence for each different key, int64 [keys], by key.

    It is the first in the best document. keys: uint64 [n].
    """
    order = np.lexsort((positions, rank[documents], keys))
    return order[run_starts(keys[order])]


def contained(
    clusters: np.ndarray,
    documents: np.ndarray,
    characters: np.ndarray,
    rank: np.ndarray,
    compared: np.ndarray,
    whole: np.ndarray,
    share: float,
) -> np.ndarray:
    """Returns which documents go because better ones hold them, bool [documents].

    The rule: look at the documents from the best to the worst. One goes if at least `share` of its characters in
    sentences stand in documents that were looked at before and stay. So what goes with a document stays in another, in
    this share at least, and a document that goes holds nothing for others: its sentences may stay in a worse one.

    characters: int [n], of each sentence. compared, whole: int [documents], characters of each document in sentences
    long enough to count, and in all. The share is of those compared; a document in which they are less than half, such
    as a list, cannot be judged and stays.
    """
    _, clusters = np.unique(clusters, return_inverse=True)
    ranks = rank[documents]
    judged = (compared > 0) & (2 * compared >= whole)
    gone = np.zeros(len(rank), bool)
    # A document depends on better ones only, so this ends with the one answer that agrees with itself, and after as
    # many steps as the longest chain of documents has in which each decides about the next.
    while True:
        stays = ~gone[documents]
        holder = np.full(clusters.max(initial=-1) + 1, len(rank))
        np.minimum.at(holder, clusters[stays], ranks[stays])
        held = np.where(holder[clusters] < ranks, characters, 0)
        now = judged & (np.bincount(documents, held, minlength=len(rank)) >= share * compared)
        if (now == gone).all():
            return gone
        gone = now


def repeated(
    clusters: np.ndarray, documents: np.ndarray, positions: np.ndarray, rank: np.ndarray, minimum: int
) -> np.ndarray:
    """Returns which sentences go because another of their cluster stays, bool [n].

    Of a cluster that stands in `minimum` documents at least, the first sentence of the best document stays. To be given
    the sentences of documents that stay.
    """
    order = np.lexsort((positions, rank[documents], clusters))
    starts = run_starts(clusters[order])
    first = np.zeros(len(order), bool)
    first[starts] = True
    standing = documents[order]
    new_document = first | np.append(True, standing[1:] != standing[:-1])[: len(order)]
    sizes = np.diff(starts, append=len(order))
    numbers = np.add.reduceat(new_document, starts, dtype=np.int64) if len(starts) else sizes
    goes = np.empty(len(order), bool)
    goes[order] = ~first & np.repeat(numbers >= minimum, sizes)
    return goes
