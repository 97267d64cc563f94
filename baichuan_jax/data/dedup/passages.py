"""Passages: runs of sentences with short ones, long enough not to repeat by chance, to find contained documents.

"好的。" is everywhere, so a short sentence alone is no evidence of copying. A run is: one begins at each sentence and
ends as soon as it has enough tokens. A chapter of dialogue shares nearly all of its runs with the book it is from.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from baichuan_jax.data.dedup.shingles import BATCH, powers
from baichuan_jax.data.language import Language
from baichuan_jax.data.permutation import mix

# Tokens of a run. Pages made of the same twenty phrases hardly ever share a run of nine of them.
RUN_TOKENS: dict[Language, int] = {"zh": 32, "en": 20, "other": 32}
SEED = 0x9A5
# document: index of its document. start, characters: the short sentences that it covers, as a span of the concatenation
# of the document's short sentences. key: hash of its sentences.
PASSAGE = np.dtype([("key", "<u8"), ("document", "<u4"), ("start", "<u4"), ("characters", "<u4")])


def passages(
    texts: np.ndarray,
    keys: np.ndarray,
    tokens: np.ndarray,
    characters: np.ndarray,
    long: np.ndarray,
    enough: np.ndarray,
) -> np.ndarray:
    """Return the runs of sentences with a short one, PASSAGE [runs], in order; `document` is the index of a text.

    The arguments have one value per sentence, in order. texts: int64, the index of its text. keys: uint64, hash of its
    tokens. tokens, characters: int64, their numbers. long: bool, whether it is compared alone. enough: int64, tokens of
    a run.
    """
    short = np.append(0, np.cumsum(np.where(long, 0, characters)))
    first_of_text = np.searchsorted(texts, texts)
    rows = np.flatnonzero(tokens)  # a sentence without letters belongs to the one before
    before = np.append(0, np.cumsum(tokens[rows]))
    last = np.searchsorted(before, before[:-1] + enough[rows]) - 1
    inside = last < len(rows)
    begins = np.flatnonzero(inside)
    begins = begins[texts[rows[begins]] == texts[rows[last[begins]]]]
    beyond = np.append(rows, len(texts))[last[begins] + 1]
    ends_of_text = np.searchsorted(texts, texts[rows[begins]], side="right")
    sizes = short[np.minimum(beyond, ends_of_text)] - short[rows[begins]]
    begins, sizes = begins[sizes > 0], sizes[sizes > 0]
    found = np.empty(len(begins), PASSAGE)
    found["key"] = _hashes(keys[rows], begins, last[begins] + 1)
    found["document"] = texts[rows[begins]]
    found["start"] = short[rows[begins]] - short[first_of_text[rows[begins]]]
    found["characters"] = sizes
    return found


def covered(owners: np.ndarray, starts: np.ndarray, characters: np.ndarray, documents: int) -> np.ndarray:
    """Return how many characters of each document its passages cover, int64 [documents].

    owners: the document of each passage. Passages are sorted by document and start; within a document their ends do not
    decrease.
    """
    stops = starts.astype(np.int64) + characters
    before = np.zeros(len(stops), np.int64)
    before[1:] = np.where(owners[1:] == owners[:-1], stops[:-1], 0)
    gains = np.maximum(stops - np.maximum(starts, before), 0)
    return np.bincount(owners, gains, documents).astype(np.int64)


def _hashes(keys: np.ndarray, begins: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return the hash of the sequence keys[begin:end] of each run, uint64. A run is much shorter than BATCH."""
    bases, inverses = powers()
    hashes = np.empty(len(begins), np.uint64)
    bounds = np.searchsorted(begins, np.arange(0, len(keys) + BATCH, BATCH))
    for number, (first, last) in enumerate(pairwise(bounds.tolist())):
        offset = number * BATCH
        part = keys[offset : offset + 2 * BATCH]
        sums = np.append(np.uint64(0), np.cumsum(part * bases[: len(part)]))
        begin, end = begins[first:last] - offset, stops[first:last] - offset
        hashes[first:last] = (sums[end] - sums[begin]) * inverses[begin]
    return mix(hashes, SEED)
