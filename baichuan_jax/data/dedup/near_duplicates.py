"""Near-duplicates: texts of which only the best stays.

The rule, in words: look at the texts from the best to the worst. One that is alike to a text that stays, and shares a
bucket with it, goes; all others stay. So who goes has a twin that stays, which joining all that are alike, directly or
through others, does not promise; and it depends on the texts and their ranks, not on their order or on how the work
was cut.

The work is done in rounds, each for many texts at once: whoever is the best of those that wait in all of its buckets
stays, is compared with the others in them, and leaves with those that are alike to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baichuan_jax.core.errors import require
from baichuan_jax.data.dedup.bands import bucket_files, buckets, in_parts, rank_bits, shared
from baichuan_jax.data.dedup.runs import distinct

# Of 8 rows, with 112 permutations: texts of similarity s share a bucket with probability 1 - (1 - s^8)^14, which is
# 56 % at 0.7, 92 % at 0.8, 98.8 % at 0.85 and 99.96 % at 0.9.
BANDS = 14
WINDOW = 64  # rounds, after which buckets in which more texts than this still wait are left alone
AT_ONCE = 1 << 14  # pairs of signatures compared: 900 bytes of memory each
ERRORS = 4  # standard errors below the threshold from which an estimate is believed

Alike = Callable[[np.ndarray, np.ndarray], np.ndarray]


def find_duplicates(
    signatures: np.ndarray,
    rank: np.ndarray,
    alike: Alike,
    threshold: float,
    bands: int,
    memory: int,
    scratch: Path,
) -> np.ndarray:
    """Return for each text the index of the one that stays in its place, int64 [texts]; its own index if it stays.

    signatures: uint32 [texts, permutations], of `signatures.signatures`; one on disk will do. Fewer than 2^32 texts.
    rank: int64 [texts], a permutation; the lowest is the best.
    alike: takes the indices of the first and the second texts of pairs, int64 [pairs] each, and return how alike
    they are, float [pairs], as `jaccard.ExactJaccard` does. Asked only where the signatures do not rule it out.
    threshold: the similarity, in (0, 1], from which two texts are alike.
    memory: bytes for keys and pairs; 9 bytes for each text and the arrays given and returned come on top.
    scratch: a directory for temporary files, 8 bytes for each band of each text.
    Time: near to linear. Buckets of thousands in which none are alike cost WINDOW comparisons for each member.

    Raise UserError if `bands` does not divide the permutations or the threshold is no share.
    """
    texts, permutations = signatures.shape
    require(permutations % bands == 0, "bands", bands, f"a divisor of the {permutations} permutations")
    require(0 < threshold <= 1, "threshold", threshold, "a share in (0, 1]")
    order = np.empty(texts, np.uint32)
    order[rank] = np.arange(texts, dtype=np.uint32)
    files = bucket_files(in_parts(signatures, rank), texts, bands, memory, scratch, rank_bits(texts))
    waiting = _Waiting.all(files, texts)
    floor = threshold - ERRORS * (threshold * (1 - threshold) / permutations) ** 0.5
    rounds = 0
    while waiting.next_round(WINDOW if rounds >= WINDOW else None):
        rounds += 1
        for best, other in waiting.pairs(max(memory // 64, 1)):
            near = _agreement(signatures, order[best], order[other]) >= floor
            best, other = best[near], other[near]
            same = alike(order[best].astype(np.int64), order[other].astype(np.int64)) >= threshold
            np.minimum.at(waiting.leader, other[same], best[same])
    stays = np.empty(texts, np.int64)
    stays[order] = order[waiting.leader]
    return stays


@dataclass
class _Waiting:
    """The texts of which it is not known whether they stay, named by their ranks.

    files: their buckets, as `bands.bucket_files` wrote them, less what has left.
    leader: uint32 [texts], the text that stays in the place of each: itself, or one of lower rank.
    blocked: bool [texts], whether a better text waits in one of its buckets. Who has entries in a file and is not
    blocked stays, and leaves when the next round begins.
    """

    files: list[Path]
    leader: np.ndarray
    blocked: np.ndarray

    @classmethod
    def all(cls, files: list[Path], texts: int) -> _Waiting:
        return cls(files, np.arange(texts, dtype=np.uint32), np.ones(texts, bool))

    def next_round(self, most: int | None) -> bool:
        """Lets all leave for whom it is known, with buckets of one text and of more than `most`. False: none waits."""
        blocked, files = np.zeros_like(self.blocked), []
        for path in self.files:
            entries, ranks = self._read(path)
            entries = shared(entries[self.blocked[ranks] & (self.leader[ranks] == ranks)], self._bits, most)
            entries.tofile(path)
            if len(entries):
                files.append(path)
                behind = np.ones(len(entries), bool)
                behind[buckets(entries, self._bits)[0]] = False
                blocked[entries[behind] & self._low] = True
            else:
                path.unlink()
        self.files, self.blocked = files, blocked
        return bool(files)

    def pairs(self, at_once: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (best, other), ranks int64 [pairs]: all that are not blocked, and those that wait behind them.

        Each pair once for `at_once` pairs that are gathered, and none whose other has a better leader already.
        """
        for pairs in self._gather(at_once):
            pairs = distinct(pairs)
            for start in range(0, len(pairs), AT_ONCE):
                part = pairs[start : start + AT_ONCE]
                best, other = (part >> np.uint64(32)).astype(np.int64), (part & np.uint64(2**32 - 1)).astype(np.int64)
                open_ = self.leader[other] > best
                yield best[open_], other[open_]

    def _gather(self, at_once: int) -> Iterator[np.ndarray]:
        """Yield the pairs, best << 32 | other, some `at_once` or a file of them at a time."""
        gathered = [np.empty(0, np.uint64)]
        for path in self.files:
            entries, ranks = self._read(path)
            starts, sizes = buckets(entries, self._bits)
            best = np.repeat(ranks[starts], sizes)
            wanted = ~self.blocked[best]
            wanted[starts] = False
            gathered.append(best[wanted] << np.uint64(32) | ranks[wanted])
            if sum(map(len, gathered)) >= at_once:
                yield np.concatenate(gathered)
                gathered = [np.empty(0, np.uint64)]
        yield np.concatenate(gathered)

    def _read(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        entries = np.fromfile(path, np.uint64)
        return entries, entries & self._low

    @property
    def _bits(self) -> int:
        return rank_bits(len(self.leader))

    @property
    def _low(self) -> np.uint64:
        return np.uint64((1 << self._bits) - 1)


def _agreement(signatures: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the share of equal numbers in each pair of signatures, float64 [pairs]."""
    return np.mean(signatures[first] == signatures[second], axis=1)
