"""Held-out token windows, where every token except the first is predicted exactly once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.shards import TokenStore


class HeldOut(NamedTuple):
    """tokens: int32 [windows, length + 1]. counted: bool [windows, length], False where a target is padding."""

    tokens: np.ndarray
    counted: np.ndarray

    def targets(self) -> np.ndarray:
        """Return the predicted ids, in order, without padding."""
        return self.tokens[:, 1:][self.counted]


def held_out(store: TokenStore, domain: str, length: int, limit: int = 0) -> HeldOut:
    """Cut the validation split of a domain into windows; with `limit`, evenly spaced ones."""
    ids = np.concatenate(store.arrays(domain, "validation")).astype(np.int32)
    if len(ids) < 2:
        raise UserError(f"domain {domain!r} has no validation text; raise SelectConfig.validation_fraction")
    starts = np.arange(0, len(ids) - 1, length)
    if limit and len(starts) > limit:
        starts = starts[np.linspace(0, len(starts) - 1, limit).round().astype(int)]
    places = starts[:, None] + np.arange(length + 1)
    return HeldOut(ids[np.minimum(places, len(ids) - 1)], places[:, 1:] < len(ids))
