"""Train and validation splits, by the hash of a text: independent of the order and of other documents."""

from __future__ import annotations

from typing import Literal

import numpy as np

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")


def held_out(keys: np.ndarray, fraction: float) -> np.ndarray:
    """Return bool [documents], true for the validation split. keys: 64-bit hashes, distinct.

    Validation gets the hashes below fraction * 2^64. If one of the splits would be empty, it gets the smallest hash
    (train, if there is only one document), so two documents always fill both.
    """
    held = keys < np.uint64(int(fraction * 2**64))
    if len(keys):
        smallest = np.argmin(keys)
        held[smallest] = not np.delete(held, smallest).all()
    return held
