"""Train and validation: decided by the hash of a text, so by nothing that the order or the other documents change."""

from __future__ import annotations

from typing import Literal

import numpy as np

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")


def held_out(keys: np.ndarray, fraction: float) -> np.ndarray:
    """Return bool [documents], true for those of the validation split; `keys` are 64-bit hashes, no two equal.

    Validation takes hashes below fraction * 2^64. Where that would leave one of the splits empty, the smallest hash
    goes to that split (train, if it is the only one), so two documents always fill both.
    """
    held = keys < np.uint64(int(fraction * 2**64))
    if len(keys):
        smallest = np.argmin(keys)
        held[smallest] = not np.delete(held, smallest).all()
    return held
