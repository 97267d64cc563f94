"""Near-duplicates: of similar texts only the best stays.

The rule: go through the texts from the best to the worst. A text is removed if it is similar to a text that stays and
shares a bucket with it; all others stay. So each removed text has a similar one that stays, which connected components
of the similarity graph do not guarantee. The result depends on the texts and their ranks, not on their order or on how
the work is divided.

The work is done in rounds, each for many texts at once: a text that is the best undecided one in all of its buckets
stays, is compared with the others in these buckets, and is decided together with those that are similar to it.
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
WINDOW = 64  # after so many rounds, buckets with more undecided texts than this are dropped
AT_ONCE = 1 << 14  # pairs of signatures compared: 900 bytes of memory each
ERRORS = 4  # pairs whose estimate is so many standard errors below the threshold are not compared exactly

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

    signatures: uint32 [texts, permutations], as from `signatures.signatures`; may be on disk. Fewer than 2^32 texts.
    rank: int64 [texts], a permutation; 0 is the best.
    alike: takes the indices of the first and the second texts of pairs, int64 [pairs] each, and returns their
    similarity, float [pairs], as `jaccard.ExactJaccard` does. Called only where the signatures do not rule it out.
    threshold: the similarity, in (0, 1], from which two texts are near-duplicates.
    memory: bytes for keys and pairs; in addition there are 9 bytes for each text and the arrays given and returned.
    scratch: a directory for temporary files, 8 bytes for each band of each text.
    Time: nearly linear. Buckets of thousands of dissimilar texts cost WINDOW comparisons for each member.

    Raise UserError if `bands` does not divide the permutations or the threshold is not in (0, 1].
    """
    texts, permutations = signatures.shape
    require(permutations % bands == 0, "bands", bands, f"a divisor of the {permutations} permutations")
    require(0 < threshold <= 1, "threshold", threshold, "a share in (0, 1]")
    order = np.empty(texts, np.uint32)
    order[rank] = np.arange(texts, dtype=np.uint32)
    files = bucket_files(in_parts(signatures, rank), texts, bands, memory, scratch, rank_bits(texts))
    undecided = _Undecided.all(files, texts)
    floor = threshold - ERRORS * (threshold * (1 - threshold) / permutations) ** 0.5
    rounds = 0
    while undecided.next_round(WINDOW if rounds >= WINDOW else None):
        rounds += 1
        for best, other in undecided.pairs(max(memory // 64, 1)):
            near = _agreement(signatures, order[best], order[other]) >= floor
            best, other = best[near], other[near]
            same = alike(order[best].astype(np.int64), order[other].astype(np.int64)) >= threshold
            np.minimum.at(undecided.leader, other[same], best[same])
    stays = np.empty(texts, np.int64)
    stays[order] = order[undecided.leader]
    return stays


@dataclass
class _Undecided:
    """The undecided texts, given by their ranks.

    files: their buckets, as `bands.bucket_files` wrote them, without the entries of decided texts.
    leader: uint32 [texts], the text that stays in the place of each: itself, or one of lower rank.
    blocked: bool [texts], whether a better undecided text is in one of its buckets. A text with entries that is not
    blocked stays, and is decided when the next round begins.
    """

    files: list[Path]
    leader: np.ndarray
    blocked: np.ndarray

    @classmethod
    def all(cls, files: list[Path], texts: int) -> _Undecided:
        return cls(files, np.arange(texts, dtype=np.uint32), np.ones(texts, bool))

    def next_round(self, most: int | None) -> bool:
        """Drop decided texts, and buckets of one text or of more than `most`; return whether any texts are left."""
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
        """Yield (best, other), ranks int64 [pairs]: texts that are not blocked, and the others in their buckets.

        A pair occurs once among `at_once` gathered pairs. Pairs whose other has a better leader already are skipped.
        """
        for pairs in self._gather(at_once):
            pairs = distinct(pairs)
            for start in range(0, len(pairs), AT_ONCE):
                part = pairs[start : start + AT_ONCE]
                best, other = (part >> np.uint64(32)).astype(np.int64), (part & np.uint64(2**32 - 1)).astype(np.int64)
                open_ = self.leader[other] > best
                yield best[open_], other[open_]

    def _gather(self, at_once: int) -> Iterator[np.ndarray]:
        """Yield the pairs, best << 32 | other, about `at_once` or those of one file at a time."""
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
    """Return the share of equal entries in each pair of signatures, float64 [pairs]."""
    return np.mean(signatures[first] == signatures[second], axis=1)
