"""Size of gradient messages: few large ones start late, many small ones pay for launches.

A collective of s bytes over n devices takes launch + hop (n - 1) + s / rate (n - 1) / n seconds: the alpha-beta model
of a ring (Thakur et al., 2005). Gradients become ready one by one during the backward pass of a layer. A message starts
when all its gradients are ready and the previous message is done.
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
    """threshold: most bytes of a message. messages: per layer. exposed: seconds of communication after the products."""

    threshold: int
    messages: int
    exposed: float
    reason: str


def combine(sizes: Sequence[int], threshold: int) -> list[list[int]]:
    """Combine neighbours up to the threshold, from the last one back; a larger gradient is a message of its own.

    XLA processes the results of a loop in the order of the parameter tree. There attention, whose gradients are ready
    last, comes before the feed-forward layer.
    """
    buckets: list[list[int]] = []
    for size in reversed(sizes):
        if buckets and sum(buckets[0]) + size <= threshold:
            buckets[0].insert(0, size)
        else:
            buckets.insert(0, [size])
    return buckets


def finished(buckets: Iterable[Sequence[int]], compute: float, shards: int, link: Link) -> float:
    """Return when the last message is done, in seconds from the start of the layer's backward pass.

    compute: seconds of that pass; each gradient takes a share proportional to its size.
    """
    buckets = list(buckets)
    done, now = list(accumulate(sum(bucket) for bucket in buckets)), 0.0
    for bucket, so_far in zip(buckets, done):
        now = max(now, compute * so_far / done[-1]) + link.seconds(sum(bucket), shards)
    return now


def plan_buckets(sizes: Sequence[int], compute: float, shards: int, link: Link) -> Buckets:
    """Return the best threshold for gradients of these sizes, in the order in which they become ready."""
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
