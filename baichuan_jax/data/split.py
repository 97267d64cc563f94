"""Train and validation: decided by the hash of a text, so by nothing that the order or the other documents change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")
T = TypeVar("T")


def split_documents(keyed: Iterable[tuple[int, T]], fraction: float) -> Iterator[tuple[Split, T]]:
    """Yields each item with its split; `keyed` gives it with a 64-bit hash, no hash twice.

    Validation takes hashes below fraction * 2^64. Where that would leave one of the splits empty, the smallest hash
    goes to that split (train, if it is the only one), so two items always fill both. The item with the smallest hash
    is therefore held back to the end.
    """
    limit = int(fraction * 2**64)
    held: tuple[int, T] | None = None
    counts = dict.fromkeys(SPLITS, 0)
    for pair in keyed:
        if held is None or pair[0] < held[0]:
            pair, held = held, pair
        if pair is not None:
            split: Split = "validation" if pair[0] < limit else "train"
            counts[split] += 1
            yield split, pair[1]
    if held is not None:
        yield "validation" if counts["train"] else "train", held[1]
