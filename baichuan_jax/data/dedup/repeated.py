"""What goes because its sentences stand in better documents too: whole documents, and sentences.

Sentences that are equal or near-duplicates form a cluster. Arrays of sentences are parallel: `clusters`, int [n], any
number that the sentences of a cluster share; `documents`, int [n], and `positions`, int [n], where each stands. `rank`,
int [documents], is a permutation; the lowest is the best. No answer depends on the order of the sentences. Sentences
that stand nowhere else need not be given: they change nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from baichuan_jax.data.dedup.passages import covered
from baichuan_jax.data.dedup.runs import run_starts


def first_occurrences(keys: np.ndarray, documents: np.ndarray, positions: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Return the index of one sentence for each different key, int64 [keys], by key.

    It is the first in the best document. keys: uint64 [n].
    """
    order = np.lexsort((positions, rank[documents], keys))
    return order[run_starts(keys[order])]


class Compared(NamedTuple):
    """What documents consist of, parallel arrays [n] of sentences, or of passages (`passages.PASSAGE`).

    clusters: any number that those that count as the same share. documents: int, where each stands. starts,
    characters: int, of passages, what each covers; of sentences starts are not looked at.
    """

    clusters: np.ndarray
    documents: np.ndarray
    starts: np.ndarray
    characters: np.ndarray


def contained(
    sentences: Compared, passages: Compared, rank: np.ndarray, characters: np.ndarray, share: float
) -> np.ndarray:
    """Return which documents go because better ones hold them: int64 [documents], one that holds most of it, or -1.

    The rule: look at the documents from the best to the worst. One goes if at least `share` of its characters stand in
    documents that were looked at before and stay: in long sentences, or in runs of sentences with short ones. So what
    goes with a document stays in another, in this share at least, and a document that goes holds nothing for others:
    its sentences may stay in a worse one. characters: int [documents], of each in all.
    """
    order = np.lexsort((passages.starts, passages.documents))
    parts = [_numbered(sentences), _numbered(Compared(*(column[order] for column in passages)))]
    gone = np.zeros(len(rank), bool)
    # A document depends on better ones only, so this ends with the one answer that agrees with itself, and after as
    # many steps as the longest chain of documents has in which each decides about the next.
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
    """Return the rank of the best document that stays and has each, int64 [n]; beyond all ranks if none has."""
    stays = ~gone[part.documents]
    holder = np.full(part.clusters.max(initial=-1) + 1, len(rank))
    np.minimum.at(holder, part.clusters[stays], rank[part.documents[stays]])
    return holder[part.clusters]


def _most(documents: np.ndarray, characters: np.ndarray, holders: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Return for each document the one that holds most of its characters, int64 [documents], or -1.

    characters, holders: of what is held of `documents`, how many, and the rank of the document that holds them.
    """
    pairs, which = np.unique(documents * len(rank) + holders, return_inverse=True)
    sizes = np.bincount(which, characters, len(pairs))
    order = np.lexsort((-pairs, sizes))  # the last for a document is the most, and of equal ones the best
    most = np.full(len(rank), -1)
    most[pairs[order] // len(rank)] = np.argsort(rank)[pairs[order] % len(rank)]
    return most


def repeated(
    clusters: np.ndarray, documents: np.ndarray, positions: np.ndarray, rank: np.ndarray, minimum: int
) -> np.ndarray:
    """Return the sentence of its cluster for which each goes, int64 [n], or -1 if it stays.

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
    kept = np.empty(len(order), np.int64)
    kept[order] = np.where(~first & np.repeat(numbers >= minimum, sizes), np.repeat(order[starts], sizes), -1)
    return kept
