"""Runs of successive tokens of any length, hashed to 64 bits, for many texts in one flat array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from baichuan_jax.data.dedup.runs import ranges
from baichuan_jax.data.dedup.shingles import powers, tokens
from baichuan_jax.data.permutation import mix

SEED = 0x13


def ngrams(texts: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (hashes uint64 [runs], number int64 [texts] of runs that each text has) of a batch of texts.

    A run is `length` successive tokens of one text (`shingles.tokens`); a text of fewer tokens has none. The texts
    have 2 * BATCH characters in all at most, one more counted for each text.
    """
    hashes, counts = tokens(texts)
    bases, inverses = powers()
    numbers = np.maximum(counts - length + 1, 0)
    firsts = ranges(np.cumsum(counts) - counts, numbers)
    # The sum of hash * base^position over a run, moved to position 0: equal wherever in the array the run stands.
    sums = np.append(np.uint64(0), np.cumsum(hashes * bases[: len(hashes)]))
    return mix((sums[firsts + length] - sums[firsts]) * inverses[firsts], SEED), numbers
