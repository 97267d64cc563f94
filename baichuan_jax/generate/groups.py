"""Which prompts are run together: those of like length, in as few programs as pays."""

from __future__ import annotations

from collections.abc import Sequence

DISPATCH = 64  # tokens that cost as much as starting a program and reading the weights once more


def groups(lengths: Sequence[int], counts: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the cheapest cut of prompts into groups: of each the first, the one after its last, and its rows.

    lengths: ascending, padded; every row of a group is as long as its last. counts: of the rows that a program may
    have. The cost is the tokens computed, and DISPATCH for each group.
    """
    cuts = [(0, 0, 0)]  # of the first n prompts: cost, where the last group starts, its rows
    for end, length in enumerate(lengths, start=1):
        lasts = [(max(0, end - count), count) for count in counts]
        cuts.append(min((cuts[start][0] + count * length + DISPATCH, start, count) for start, count in lasts))
    found, end = [], len(lengths)
    while end:
        _, start, count = cuts[end]
        found.append((start, end, count))
        end = start
    return found[::-1]
