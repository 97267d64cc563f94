"""Examples: windows of good and of bad texts, in pairs of equal length.

Good text tends to be long and bad text short. A model cannot learn the length from windows whose lengths have the same
distribution in both classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.dedup.exact import text_hash
from baichuan_jax.data.dedup.runs import ranges
from baichuan_jax.data.dedup.shingles import tokenized

WINDOW, SHORTEST = 128, 4  # tokens in a window: at most, and at least
STRETCH = 1000  # characters: 128 tokens of English or more
# The hash of a text decides which part it belongs to, so all windows of a text are in the same part.
FOLDS = 10
PARTS = {"test": (0, 1), "calibrate": (2,), "train": (3, 4, 5, 6, 7, 8, 9)}


@dataclass(frozen=True)
class Windows:
    """Paired windows. hashes: uint64 [tokens]. counts: int64 [windows], tokens of each. good: bool [windows]."""

    hashes: np.ndarray
    counts: np.ndarray
    good: np.ndarray

    def take(self, which: np.ndarray, counts: np.ndarray) -> Windows:
        """Return the first `counts` tokens (int64 [windows]) of the windows `which`."""
        firsts = (np.cumsum(self.counts) - self.counts)[which]
        return Windows(self.hashes[ranges(firsts, counts)], counts, self.good[which])

    def prefixes(self) -> Windows:
        """Return the windows, their first halves, their first quarters and so on."""
        which, counts = np.arange(len(self.counts)), self.counts
        parts = []
        while len(which):
            parts.append((which, counts))
            which, counts = which[counts >= 2 * SHORTEST], counts[counts >= 2 * SHORTEST] // 2
        return self.take(*(np.concatenate(column) for column in zip(*parts)))


class Examples:
    """The windows of one class.

    texts: sorted by hash, distinct up to white space, at most `most`. folds: int64 [texts], in [0, FOLDS).
    Each text gives one window; if these are fewer than `most`, long texts give more.
    """

    def __init__(self, texts: Sequence[str], most: int):
        chosen = sorted({text_hash(text): text for text in sorted(texts)}.items())[:most]
        self.texts = [text for _, text in chosen]
        self.folds = np.array([key % FOLDS for key, _ in chosen], np.int64)
        shifts = np.array([key // FOLDS for key, _ in chosen], np.int64)
        length = STRETCH * max(1, most // max(1, len(chosen)))
        self._hashes, counts = _tokens([_stretch(*pair, length) for pair in zip(self.texts, shifts.tolist())])
        numbers = np.maximum(counts // WINDOW, 1)
        owners, places = np.repeat(np.arange(len(chosen)), numbers), ranges(np.zeros_like(numbers), numbers)
        turns = (places + shifts[owners]) % numbers[owners]  # the first window of a text is a random one
        order = np.lexsort((owners, turns))
        order = order[counts[owners[order]] >= SHORTEST][:most]
        self._owners = owners[order]
        self._firsts = (np.cumsum(counts) - counts)[self._owners] + WINDOW * places[order]
        self._counts = np.minimum(counts[self._owners], WINDOW)

    def windows(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (first token, number of tokens), int64 [windows] each, of the windows of a part, by priority."""
        mine = np.isin(self.folds[self._owners], PARTS[part])
        return self._firsts[mine], self._counts[mine]

    def tokens(self, firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the concatenated hashes of the tokens of windows, uint64."""
        return self._hashes[ranges(firsts, counts)]


def pairs(good: Examples, bad: Examples, part: str) -> Windows:
    """Return the windows of a part of PARTS, as many good as bad, the good ones first.

    Windows are paired by length: the shortest of each class, then the next. Both are cut to the length of the shorter.
    """
    classes = [(examples, *examples.windows(part)) for examples in (good, bad)]
    number = min(len(firsts) for _, firsts, _ in classes)
    orders = [np.argsort(counts[:number], kind="stable") for _, _, counts in classes]
    length = np.minimum(*(counts[order] for (_, _, counts), order in zip(classes, orders)))
    hashes = [examples.tokens(firsts[order], length) for (examples, firsts, _), order in zip(classes, orders)]
    return Windows(np.concatenate(hashes), np.tile(length, 2), np.arange(2 * number) < number)


def _stretch(text: str, shift: int, length: int) -> str:
    """Return STRETCH characters of a text, from a place that its hash decides."""
    start = shift % (max(0, len(text) - length) + 1)
    return text[start : start + length]


def _tokens(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (hashes uint64 [tokens], counts int64 [texts]) of any number of texts of any length."""
    hashes, counts = [np.empty(0, np.uint64)], np.zeros(len(texts), np.int64)
    for owners, found, numbers in tokenized(texts):
        hashes.append(found)
        np.add.at(counts, owners, numbers)
    return np.concatenate(hashes), counts
