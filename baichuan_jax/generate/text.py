"""Incremental detokenization: never half a character, and no part of a possible stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence

from baichuan_jax.tokenizer.interface import AnyTokenizer, bytes_of


class TextStream:
    """The text of one continuation.

    stopped: whether a stop string occurred; the text ends before it. taken: number of ids of the text, up to the one
    that completed the stop string.

    The pieces concatenate to the decoded bytes of the ids. Invalid UTF-8 becomes U+FFFD, and an incomplete character at
    the end is dropped. A leading space of the first id is kept; decoding the continuation as a separate text would lose
    it in some vocabularies.
    """

    def __init__(self, tokenizer: AnyTokenizer, stops: Sequence[str] = ()):
        self.stopped, self.taken = False, 0
        self._tokenizer, self._stops = tokenizer, tuple(stops)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def push(self, ids: Iterable[int], last: bool = False) -> str:
        """Return the text that can be shown now. last: no more ids follow, so nothing is held back."""
        text = self._held
        for id in ids:
            if self.stopped:
                break
            text += self._decoder.decode(bytes_of(self._tokenizer, id))
            self.taken += 1
            found = [place for place in map(text.find, self._stops) if place >= 0]
            if found:
                self.stopped, text = True, text[: min(found)]
        if self.stopped:
            self._held = ""
            return text
        sure = len(text) if last else len(text) - self._beginning(text)
        self._held = text[sure:]
        return text[:sure]

    def _beginning(self, text: str) -> int:
        """Return the number of characters at the end of a text that may start a stop string."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        begins = lambda end: any(stop.startswith(end) for stop in self._stops)
        return next((size for size in range(min(longest, len(text)), 0, -1) if begins(text[-size:])), 0)
