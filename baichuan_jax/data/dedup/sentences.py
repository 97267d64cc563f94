"""Sentences as the search for repeats sees them: where they stand, the hash of their tokens, their signatures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from baichuan_jax.data.dedup.minhash import signatures
from baichuan_jax.data.dedup.runs import ranges
from baichuan_jax.data.dedup.shingles import BATCH, SHINGLE_BASE, batches, tokens
from baichuan_jax.data.language import Language
from baichuan_jax.data.permutation import mix

# document: index of its document. position: index in `rules.sentences.sentences` of the document's text. key: hash of
# the sequence of its tokens. characters: of the sentence, with what follows it up to the next.
OCCURRENCE = np.dtype([("key", "<u8"), ("document", "<u4"), ("position", "<u4"), ("characters", "<u4")])

# Tokens from which a sentence counts. People say the shorter ones again without copying ("服务态度很好，下次还会来。",
# "Thank you very much indeed."), and novels open their dialogues with them. A line of code repeats for a reason.
MIN_TOKENS: dict[Language, int] = {"zh": 12, "en": 8, "other": 12}

# Shingles of 2 tokens: one changed in a sentence of 20 leaves a similarity of 0.81, and of 5 tokens only 0.52.
# 8 bands of 4 rows: sentences of similarity s share a bucket with probability 1 - (1 - s^4)^8, which is 40 % at 0.5,
# 89 % at 0.7, 98.5 % at 0.8 and 99.7 % at 0.85.
WIDTH, BANDS, PERMUTATIONS = 2, 8, 32


def sentence_keys(documents: Sequence[Sequence[str]], languages: Sequence[Language]) -> np.ndarray:
    """Returns the sentences of documents that are long enough to count, OCCURRENCE [sentences], in order.

    documents: the sentences of each, of `rules.sentences.sentences`; its language decides what counts. Sentences
    have equal keys if they have the same tokens (`shingles`): case, spaces and punctuation do not matter.
    """
    cut = [parts if language in MIN_TOKENS else [] for parts, language in zip(documents, languages)]
    numbers = np.array([len(parts) for parts in cut], np.int64)
    flat = [sentence for parts in cut for sentence in parts]
    keys, counts = _keys(flat)
    least = np.array([MIN_TOKENS.get(language, 0) for language in languages], np.int64)
    occurrences = np.empty(len(flat), OCCURRENCE)
    occurrences["key"] = keys
    occurrences["document"] = np.repeat(np.arange(len(documents)), numbers)
    occurrences["position"] = ranges(np.zeros_like(numbers), numbers)
    occurrences["characters"] = np.fromiter(map(len, flat), np.int64, len(flat))
    return occurrences[counts >= np.repeat(least, numbers)]


def sentence_signatures(texts: Sequence[str]) -> np.ndarray:
    """Returns uint32 [sentences, PERMUTATIONS]; to be compared with shingles of WIDTH tokens, in BANDS bands."""
    return signatures(texts, PERMUTATIONS, WIDTH)


def _keys(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns (hash of all tokens uint64 [texts], number of tokens int64 [texts])."""
    keys, counts = np.zeros(len(texts), np.uint64), np.zeros(len(texts), np.int64)
    for owners, pieces in batches(texts):
        hashes, numbers = tokens(pieces)
        full = np.flatnonzero(numbers)
        places = ranges(np.zeros_like(numbers), numbers)
        starts = (np.cumsum(numbers) - numbers)[full]
        # .at: a sentence longer than BATCH owns several pieces
        np.add.at(keys, owners[full], mix(np.add.reduceat(hashes * _powers()[places], starts), 0))
        np.add.at(counts, owners, numbers)
    return keys, counts


@cache
def _powers() -> np.ndarray:
    """Returns SHINGLE_BASE modulo 2^64 to the powers 0, 1, ..., uint64 [BATCH]."""
    powers = np.full(BATCH, SHINGLE_BASE)
    powers[0] = 1
    return np.cumprod(powers)
