"""What may become of a document that the rules have kept."""

from __future__ import annotations

from baichuan_jax.data.split import SPLITS

# The splits, then the reasons why a document goes.
FATES = (
    *SPLITS,
    "duplicate",
    "contaminated",
    "low_quality",
    "near_duplicate",
    "contained",
    "fragment",
    "over_cap",
)
HERE = 0  # the fate of a document until its split is decided


def fate(name: str) -> int:
    """Return the number of a fate."""
    return FATES.index(name)
