"""Twins: the documents and sentences that removed ones duplicate, for inspection."""

from __future__ import annotations

import numpy as np

from baichuan_jax.data.flow.phase_arrays import CONTAINED, NEAR_DUPLICATES, ORIGINALS
from baichuan_jax.data.flow.shard import Shard
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.rules.sentences import sentences

# To locate a document in the one that contains it: number of sentences tried, and their least characters.
LOOKED_FOR, LEAST = 100, 8


class Twins:
    """The twins, {"source", "text"}, of documents given by their numbers."""

    def __init__(self, work: Work):
        self._work = work
        self._starts = work.starts()
        self._shards: dict[int, Shard] = {}  # kept open: to open one costs more than to read from it

    def of_document(self, reason: str, number: int, text: str) -> dict[str, str] | None:
        """Return the document that a removed one duplicates, or None if it was removed for another reason.

        text: of the removed document. If it was contained in its twin, the text returned begins where they overlap.
        """
        if reason == "duplicate":
            return self._document(int(self._work.load(ORIGINALS)[number]))
        pairs = {"near_duplicate": NEAR_DUPLICATES, "contained": CONTAINED}
        if reason not in pairs:
            return None
        removed, stays = self._work.load(pairs[reason]).T
        twin = self._document(int(stays[np.searchsorted(removed, number)]))
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
    """Return a text from the first sentence of `held` on that it contains; all of it if it contains none."""
    for sentence in sentences(held)[:LOOKED_FOR]:
        if len(sentence.strip()) >= LEAST and (place := text.find(sentence.strip())) >= 0:
            return text[place:]
    return text
