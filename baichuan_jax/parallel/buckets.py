"""How large the messages of gradients should be: few large ones waste time waiting, many small ones waste launches.

A collective of s bytes over n devices takes launch + hop (n - 1) + s / rate (n - 1) / n seconds: the alpha-beta model
of a ring (Thakur et al., 2005). Gradients become ready one after the other while the backward pass of a layer runs; a
message starts when all of its gradients are ready and the message before is through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple


class Link(NamedTuple):
    """launch: seconds that every collective costs. hop: seconds to pass a device. rate: bytes/s of a device."""

    launch: float
    hop: float
    rate: float

    def seconds(self, size: float, shards: int) -> float:
        """Return the time of one collective over arrays of `size` bytes in all."""
        return self.launch + self.hop * (shards - 1) + size / self.rate * (shards - 1) / shards


class Buckets(NamedTuple):
    """threshold: most bytes of one message. messages: of a layer. exposed: seconds that go on after the products."""

    threshold: int
    messages: int
    exposed: float
    reason: str


def combine(sizes: Sequence[int], threshold: int) -> list[list[int]]:
    """Join neighbours while they fit into the threshold, the last ones first; one that is larger goes alone.

    XLA goes through what a loop returns in the order of the tree of parameters, where attention, whose gradients are
    ready last, stands before the feed-forward layer.
    """
    buckets: list[list[int]] = []
    for size in reversed(sizes):
        if buckets and sum(buckets[0]) + size <= threshold:
            buckets[0].insert(0, size)
        else:
            buckets.insert(0, [size])
    return buckets


def finished(buckets: Iterable[Sequence[int]], compute: float, shards: int, link: Link) -> float:
    """Return when the last message is through, in seconds from the start of the layer's backward pass.

    compute: seconds of that pass; a gradient takes its share of it by size.
    """
    buckets = list(buckets)
    done, now = list(accumulate(sum(bucket) for bucket in buckets)), 0.0
    for bucket, so_far in zip(buckets, done):
        now = max(now, compute * so_far / done[-1]) + link.seconds(sum(bucket), shards)
    return now


def plan_buckets(sizes: Sequence[int], compute: float, shards: int, link: Link) -> Buckets:
    """Return the best threshold for gradients of these bytes, in the order in which they become ready."""
    runs = {sum(sizes[start:stop]) for stop in range(1, len(sizes) + 1) for start in range(stop)}
    times = {run: finished(combine(sizes, run), compute, shards, link) for run in sorted(runs)}
    best = min(times, key=times.__getitem__)
    messages = len(combine(sizes, best))
    start = link.launch + link.hop * (shards - 1)
    reason = (
        f"{len(sizes)} gradients in {messages} messages a layer: over {shards} devices each costs {start * 1e6:.0f} us "
        f"to start, all bytes {sum(sizes) / link.rate * (shards - 1) / shards * 1e6:.0f} us, the products of the layer "
        f"{compute * 1e6:.0f} us"
    )
    return Buckets(best, messages, times[best] - compute, reason)
