"""Sentences for deduplication: their places, the hashes of their tokens, and their MinHash signatures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from baichuan_jax.data.dedup import shingles
from baichuan_jax.data.dedup.passages import RUN_TOKENS, passages
from baichuan_jax.data.dedup.runs import ranges
from baichuan_jax.data.dedup.shingles import BATCH, SHINGLE_BASE, shingles_of, tokens_of
from baichuan_jax.data.dedup.signatures import sign, unsigned
from baichuan_jax.data.language import Language
from baichuan_jax.data.permutation import mix
from baichuan_jax.data.rules.sentences import Sentences

# document: index of its document. start: offset in the document's text. key: hash of the sequence of its tokens.
# characters: of the sentence, with the white space up to the next one. whole: whether the text reads on without it.
OCCURRENCE = np.dtype([("key", "<u8"), ("document", "<u4"), ("start", "<u4"), ("characters", "<u4"), ("whole", "?")])
PLACE = ["document", "start", "characters"]  # the fields that locate a sentence

# Least tokens of a sentence that is compared. People repeat shorter ones without copying ("服务态度很好，下次还会来。",
# "Thank you very much indeed."), and novels open their dialogues with them. Lines of code repeat for good reasons.
MIN_TOKENS: dict[Language, int] = {"zh": 12, "en": 8, "other": 12}
NEVER = np.iinfo(np.int64).max

# Shingles of 2 tokens: one changed in a sentence of 20 leaves a similarity of 0.81, and of 5 tokens only 0.52.
# 8 bands of 4 rows: sentences of similarity s share a bucket with probability 1 - (1 - s^4)^8, which is 40 % at 0.5,
# 89 % at 0.7, 98.5 % at 0.8 and 99.7 % at 0.85.
WIDTH, BANDS, PERMUTATIONS = 2, 8, 32


class Found(NamedTuple):
    """The compared parts of some texts; `document` is the index of a text.

    sentences: OCCURRENCE [sentences], those of MIN_TOKENS or more, in order. signatures: uint32 [sentences,
    PERMUTATIONS], with BANDS bands and shingles of WIDTH tokens. passages: PASSAGE [runs], of runs with shorter ones.
    """

    sentences: np.ndarray
    signatures: np.ndarray
    passages: np.ndarray


def occurrences(found: Sentences, languages: Sequence[Language]) -> Found:
    """Return the sentences and passages of texts that are compared.

    found: as from `rules.sentences.split_sentences`. languages: of each text; in code nothing is compared. Sentences
    have equal keys if they have the same tokens (`shingles`): case, white space and punctuation do not matter.
    """
    least = np.array([MIN_TOKENS.get(language, NEVER) for language in languages], np.int64)[found.texts]
    judged = np.flatnonzero(least < NEVER)
    least, texts, characters = least[judged], found.texts[judged], (found.stops - found.starts)[judged]
    signed = characters >= least  # a token has at least one character
    number = np.cumsum(signed) - 1
    keys, counts = np.zeros(len(judged), np.uint64), np.zeros(len(judged), np.int64)
    signatures = unsigned(int(signed.sum()), PERMUTATIONS)
    for owners, hashes, numbers in _tokens(found, judged):
        full = np.flatnonzero(numbers)
        starts = (np.cumsum(numbers) - numbers)[full]
        powers = _powers()[ranges(np.zeros_like(numbers), numbers)]
        # .at, because a sentence longer than BATCH owns several pieces
        np.add.at(keys, owners[full], mix(np.add.reduceat(hashes * powers, starts), 0) if full.size else 0)
        np.add.at(counts, owners, numbers)
        long = signed[owners]
        hashes = hashes[np.repeat(long, numbers)]
        sign(signatures, number[owners[long]], *shingles_of(hashes, numbers[long], WIDTH))
    long = counts >= least
    enough = np.array([RUN_TOKENS.get(language, 0) for language in languages], np.int64)[texts]
    rows = places(found, judged[long])
    rows["key"] = keys[long]
    return Found(rows, signatures[long[signed]], passages(texts, keys, counts, characters, long, enough))


def places(found: Sentences, chosen: np.ndarray) -> np.ndarray:
    """Return the places of sentences, given by their indices: OCCURRENCE [chosen], with key 0."""
    rows = np.zeros(len(chosen), OCCURRENCE)
    rows["document"] = found.texts[chosen]
    rows["start"] = (found.starts - found.first[found.texts])[chosen]
    rows["characters"] = (found.stops - found.starts)[chosen]
    rows["whole"] = found.whole[chosen]
    return rows


def _tokens(found: Sentences, candidates: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (owners int64 [pieces], hashes uint64 [tokens], tokens of each piece int64 [pieces]).

    A piece is a candidate, or a part of one longer than BATCH; its owner is the candidate's index.
    """
    batch = shingles.BATCH - 1
    starts, stops = found.starts[candidates], found.stops[candidates]
    if candidates.size and len(found.characters) <= 2 * batch and len(candidates) == len(found.starts):
        # No token crosses the end of a sentence, so all of them can be hashed in place.
        yield np.arange(len(candidates)), *tokens_of(found.characters, stops)
        return
    parts = -(-(stops - starts) // batch)
    owners = np.repeat(np.arange(len(candidates)), parts)
    starts = np.repeat(starts, parts) + batch * ranges(np.zeros_like(parts), parts)
    sizes = np.minimum(stops[owners] - starts, batch)
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes + 1) // batch)) + 1
    for first, last in pairwise([0, *cuts, len(owners)] if len(owners) else []):
        lengths = sizes[first:last] + 1
        characters, lasts = found.characters[ranges(starts[first:last], lengths)], np.cumsum(lengths)
        characters[lasts - 1] = ord("\n")  # separates a piece from what follows it
        yield owners[first:last], *tokens_of(characters, lasts)


@cache
def _powers() -> np.ndarray:
    """Return SHINGLE_BASE modulo 2^64 to the powers 0, 1, ..., uint64 [BATCH]."""
    powers = np.full(BATCH, SHINGLE_BASE)
    powers[0] = 1
    return np.cumprod(powers)
