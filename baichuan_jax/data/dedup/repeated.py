"""Documents and sentences to remove because better documents have the same sentences.

Sentences that are equal or near-duplicates form a cluster. Arrays of sentences are parallel: `clusters`, int [n], any
number that the sentences of a cluster share; `documents`, int [n], and `positions`, int [n], their places. `rank`, int
[documents], is a permutation; 0 is the best. No result depends on the order of the sentences. Sentences that occur once
may be left out: they change nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from baichuan_jax.data.dedup.passages import covered
from baichuan_jax.data.dedup.runs import run_starts


def first_occurrences(keys: np.ndarray, documents: np.ndarray, positions: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Return the index of one sentence for each distinct key, int64 [keys], by key: the first in the best document.

    keys: uint64 [n].
    """
    order = np.lexsort((positions, rank[documents], keys))
    return order[run_starts(keys[order])]


class Compared(NamedTuple):
    """Sentences, or passages (`passages.PASSAGE`), of documents, as parallel arrays [n].

    clusters: any number that equal or similar ones share. documents: int. starts, characters: int, the span that a
    passage covers; the starts of sentences are not used.
    """

    clusters: np.ndarray
    documents: np.ndarray
    starts: np.ndarray
    characters: np.ndarray


def contained(
    sentences: Compared, passages: Compared, rank: np.ndarray, characters: np.ndarray, share: float
) -> np.ndarray:
    """Return for each document the better one that contains most of it, if it is to be removed, else -1; int64.

    The rule: go through the documents from the best to the worst. A document is removed if at least `share` of its
    characters occur in documents that were visited before and stay: in long sentences, or in runs of sentences with
    short ones. So this share of what is removed with a document stays in others. A removed document contains nothing
    for others: its sentences may stay in a worse one. characters: int [documents], of each document.
    """
    order = np.lexsort((passages.starts, passages.documents))
    parts = [_numbered(sentences), _numbered(Compared(*(column[order] for column in passages)))]
    gone = np.zeros(len(rank), bool)
    # A document depends on better ones only, so this iteration ends at the only fixed point, after as many steps as
    # the longest chain of documents in which each decides about the next.
    while True:
        ranks = [_holders(part, rank, gone) for part in parts]
        held = [holder < rank[part.documents] for holder, part in zip(ranks, parts)]
        inside = np.bincount(parts[0].documents, np.where(held[0], parts[0].characters, 0), minlength=len(rank))
        inside += covered(*(column[held[1]] for column in parts[1][1:]), len(rank))
        now = (inside > 0) & (inside >= share * characters)
        if (now == gone).all():
            break
        gone = now
    documents, characters, ranks = (
        np.concatenate([column[which & gone[part.documents]] for column, which, part in zip(columns, held, parts)])
        for columns in ([part.documents for part in parts], [part.characters for part in parts], ranks)
    )
    return _most(documents, characters, ranks, rank)


def _numbered(part: Compared) -> Compared:
    return part._replace(clusters=np.unique(part.clusters, return_inverse=True)[1])


def _holders(part: Compared, rank: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Return the rank of the best remaining document with the cluster of each, int64 [n]; len(rank) if none."""
    stays = ~gone[part.documents]
    holder = np.full(part.clusters.max(initial=-1) + 1, len(rank))
    np.minimum.at(holder, part.clusters[stays], rank[part.documents[stays]])
    return holder[part.clusters]


def _most(documents: np.ndarray, characters: np.ndarray, holders: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Return for each document the one that contains most of its characters, int64 [documents], or -1.

    documents, characters, holders: parallel; so many characters of a document are in the document of rank `holders`.
    """
    pairs, which = np.unique(documents * len(rank) + holders, return_inverse=True)
    sizes = np.bincount(which, characters, len(pairs))
    order = np.lexsort((-pairs, sizes))  # the last pair of a document has the most characters, then the best rank
    most = np.full(len(rank), -1)
    most[pairs[order] // len(rank)] = np.argsort(rank)[pairs[order] % len(rank)]
    return most


def repeated(
    clusters: np.ndarray, documents: np.ndarray, positions: np.ndarray, rank: np.ndarray, minimum: int
) -> np.ndarray:
    """Return for each sentence the one of its cluster that stays in its place, int64 [n], or -1 if it stays itself.

    Of a cluster in at least `minimum` documents, the first sentence of the best document stays. The sentences are those
    of documents that stay.
    """
    order = np.lexsort((positions, rank[documents], clusters))
    starts = run_starts(clusters[order])
    first = np.zeros(len(order), bool)
    first[starts] = True
    standing = documents[order]
    new_document = first | np.append(True, standing[1:] != standing[:-1])[: len(order)]
    sizes = np.diff(starts, append=len(order))
    numbers = np.add.reduceat(new_document, starts, dtype=np.int64) if len(starts) else sizes
    kept = np.empty(len(order), np.int64)
    kept[order] = np.where(~first & np.repeat(numbers >= minimum, sizes), np.repeat(order[starts], sizes), -1)
    return kept
