"""What becomes of a document that passed the rules: a split of the dataset, or the reason why it is removed."""

from __future__ import annotations

from baichuan_jax.data.split import SPLITS

VERDICTS = (
    *SPLITS,
    "duplicate",
    "contaminated",
    "low_quality",
    "near_duplicate",
    "contained",
    "fragment",
    "over_cap",
)
PENDING = 0  # not removed so far. It is the code of "train": `assign` moves some of what is left to "validation"


def verdict(name: str) -> int:
    """Return the code of a verdict, its index in VERDICTS."""
    return VERDICTS.index(name)
