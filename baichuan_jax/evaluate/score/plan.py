"""Batches of requests for scoring: common prefixes are grouped and computed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

SHORTEST = 16  # tokens that are worth sharing, and of the smallest bucket


@dataclass
class Row:
    """One sequence to run. wanted: (request number, its continuation, `place` where its first id is predicted)."""

    ids: tuple[int, ...]
    wanted: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)

    @property
    def pairs(self) -> int:
        """Number of predicted ids."""
        return sum(len(continuation) for _, continuation in self.wanted)

    @property
    def unread(self) -> int:
        """Number of ids before the first predicted place."""
        return len(self.ids) - max(len(continuation) for _, continuation in self.wanted)


@dataclass(frozen=True)
class Group:
    """Rows with a common prefix of `shared` ids."""

    shared: int
    rows: list[Row]


def bucket(length: int, most: int) -> int:
    """Return the padded length: 16, 24, 32, 48, 64, 96 and so on, at most `most`."""
    size = SHORTEST
    while size < length:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return min(size, most)


def rows_of(requests: Iterable[tuple[Sequence[int], Sequence[int]]], context: int) -> list[Row]:
    """Return the sequences for requests of (context ids, continuation ids), sorted by ids.

    Sequences are truncated on the left to the model's context. One-id continuations of a context share a row.
    """
    rows: dict[tuple[int, ...], Row] = {}
    for number, (before, continuation) in enumerate(requests):
        ids = tuple([*before, *continuation][-(context + 1) : -1])
        rows.setdefault(ids, Row(ids)).wanted.append((number, tuple(continuation)))
    return [rows[ids] for ids in sorted(rows)]


def groups_of(rows: Sequence[Row]) -> list[Group]:
    """Partition sorted rows to save the most computation: n rows with a common prefix of p ids save (n - 1) * p.

    Rows without a useful prefix form one group. Walk the tree of common prefixes from the leaves up, and at each node
    take the whole node or the best groups of its children.
    """
    common = [_common(one, other) for one, other in pairwise(rows)]
    above: list[tuple[int, list[_Part]]] = [(0, [])]
    for number in range(len(rows)):
        part = _Part(0, [(0, number, number + 1)])
        after = common[number] if number < len(common) else 0
        while above[-1][0] > after:
            length, parts = above.pop()
            part = _best(length, [*parts, part])
        if above[-1][0] < after:
            above.append((after, []))
        above[-1][1].append(part)
    found = [cut for part in above[0][1] for cut in part.cuts]
    alone = [row for shared, start, end in found if not shared for row in rows[start:end]]
    groups = [Group(shared, list(rows[start:end])) for shared, start, end in found if shared]
    return [*groups, Group(0, alone)] if alone else groups


class _Part(NamedTuple):
    """Adjacent rows. saved: number of ids not computed. cuts: (shared ids, first row, row after the last)."""

    saved: int
    cuts: list[tuple[int, int, int]]


def _best(shared: int, parts: list[_Part]) -> _Part:
    """Return the rows as one group that shares this many ids, or as the groups of the parts."""
    cuts = [cut for part in parts for cut in part.cuts]
    start, end = cuts[0][1], cuts[-1][2]
    saved, apart = shared * (end - start - 1), sum(part.saved for part in parts)
    return _Part(saved, [(shared, start, end)]) if shared >= SHORTEST and saved > apart else _Part(apart, cuts)


def _common(one: Row, other: Row) -> int:
    """Return the length of the common prefix of two rows, before the first predicted place of either."""
    most = min(one.unread, other.unread)
    return next((place for place in range(most) if one.ids[place] != other.ids[place]), most)


def batches(group: Group, tokens: int, counts: Sequence[int]) -> Iterator[list[Row]]:
    """Split a group into batches of similar length with about `tokens` tokens and one of `counts` rows."""
    left = sorted(group.rows, key=lambda row: -len(row.ids))
    while left:
        most = max(tokens // max(len(left[0].ids) - group.shared, SHORTEST), counts[0])
        fitting = [count for count in counts if count <= most]
        count = next((count for count in reversed(fitting) if count <= len(left)), fitting[0])
        yield left[:count]
        left = left[count:]
