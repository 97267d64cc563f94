"""Group prompts of similar length for prefill, at the least cost of padding and dispatch."""

from __future__ import annotations

from collections.abc import Sequence

DISPATCH = 64  # tokens that cost as much as one more dispatch, which reads the weights again


def groups(lengths: Sequence[int], counts: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the cheapest partition of prompts into groups (start, end, rows).

    lengths: ascending, padded; a group is padded to its longest. counts: the possible numbers of rows of a program. The
    cost is the number of computed tokens plus DISPATCH per group.
    """
    cuts = [(0, 0, 0)]  # best partition of the first n prompts: (cost, start of the last group, its rows)
    for end, length in enumerate(lengths, start=1):
        lasts = [(max(0, end - count), count) for count in counts]
        cuts.append(min((cuts[start][0] + count * length + DISPATCH, start, count) for start, count in lasts))
    found, end = [], len(lengths)
    while end:
        _, start, count = cuts[end]
        found.append((start, end, count))
        end = start
    return found[::-1]
