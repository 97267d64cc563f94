"""What documents and sentences were removed for, for people who look at what went."""

from __future__ import annotations

import numpy as np

from baichuan_jax.data.flow.documents import KEPT
from baichuan_jax.data.flow.documents import NAME as DOCUMENTS
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.repeats import CONTAINED
from baichuan_jax.data.flow.repeats import NAME as REPEATS
from baichuan_jax.data.flow.shard import Shard
from baichuan_jax.data.flow.unite import NAME as UNITE
from baichuan_jax.data.flow.unite import ORIGINALS
from baichuan_jax.data.rules.sentences import sentences

LOOKED_FOR, LEAST = 100, 8  # sentences of a document that are looked for in the one that holds it; their characters


class Twins:
    """Finds twins, {"source", "text"}, of documents given by their numbers among those of all shards."""

    def __init__(self, work: Work):
        self._work = work
        self._starts = work.starts()
        self._shards: dict[int, Shard] = {}  # those that were looked at: to open one costs more than to read from it

    def of_document(self, reason: str, number: int, text: str) -> dict[str, str] | None:
        """Return the document for which another went as `reason`, or None if it went by itself.

        Of one that holds the other, the part from where it has a sentence of it.
        """
        if reason == "duplicate":
            return self._document(int(self._work.load(UNITE, ORIGINALS)[number]))
        pairs = {"near_duplicate": (DOCUMENTS, KEPT), "contained": (REPEATS, CONTAINED)}
        if reason not in pairs:
            return None
        gone, stays = self._work.load(*pairs[reason]).T
        twin = self._document(int(stays[np.searchsorted(gone, number)]))
        return {**twin, "text": _passage(twin["text"], text)} if reason == "contained" else twin

    def of_sentence(self, document: int, start: int, characters: int) -> dict[str, str]:
        """Return a sentence of a document."""
        twin = self._document(document)
        return {**twin, "text": twin["text"][start : start + characters].strip()}

    def _document(self, number: int) -> dict[str, str]:
        part = int(np.searchsorted(self._starts, number, side="right")) - 1
        if part not in self._shards:
            self._shards[part] = self._work.shard(part)
        shard, row = self._shards[part], np.array([number - self._starts[part]])
        return {"source": shard.sources(row)[0], "text": shard.texts(row)[0]}


def _passage(text: str, held: str) -> str:
    """Return a text from where it has the first sentence of another one that it has."""
    for sentence in sentences(held)[:LOOKED_FOR]:
        if len(sentence.strip()) >= LEAST and (place := text.find(sentence.strip())) >= 0:
            return text[place:]
    return text
