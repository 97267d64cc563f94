"""Near-duplicates side by side, for people to inspect."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from baichuan_jax.core.files import write_text
from baichuan_jax.data.flow.phase_arrays import NEAR_DUPLICATES
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.permutation import mix

PAIRS = "near_duplicates.jsonl"
MOST, CHARACTERS, SEED = 200, 2000, 0x5A1


def write_pairs(work: Work, directory: Path) -> None:
    """Write up to MOST pairs of near-duplicates, drawn by hash: {"domain", "gone", "kept"} with sources and texts."""
    pairs, shards, lines = work.load(NEAR_DUPLICATES), work.all(), []
    drawn = np.argsort(mix(shards.rows["key"][pairs[:, 0]], SEED))[:MOST]
    names = list(dict.fromkeys(work.domains))
    for gone, kept in pairs[np.sort(drawn)].tolist():
        sides = {}
        for side, number in (("gone", gone), ("kept", kept)):
            (text,), (source,) = shards.texts(np.array([number])), shards.sources(np.array([number]))
            sides[side] = {"source": source, "text": text[:CHARACTERS]}
        lines.append(json.dumps({"domain": names[shards.domain[gone]], **sides}, ensure_ascii=False) + "\n")
    write_text(directory / PAIRS, "".join(lines))
