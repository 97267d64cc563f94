"""Ids to text while they arrive: never half a character, and nothing of what may turn out to be a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence

from baichuan_jax.tokenizer.interface import AnyTokenizer, bytes_of


class TextStream:
    """The text of one continuation. stopped: whether a stop string came; it and what follows are not shown.
    taken: how many ids the text has, up to the one that completed the stop string.

    The pieces add up to the UTF-8 of the ids' bytes; bytes that are not UTF-8 become U+FFFD, and what the last id has
    of an unfinished character is dropped. A space that the first id begins with is kept, which decoding the
    continuation as a text of its own loses in some vocabularies.
    """

    def __init__(self, tokenizer: AnyTokenizer, stops: Sequence[str] = ()):
        self.stopped, self.taken = False, 0
        self._tokenizer, self._stops = tokenizer, tuple(stops)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def push(self, ids: Iterable[int], last: bool = False) -> str:
        """Return the text that is certain now. last: no more ids will come: nothing that is whole is held back."""
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
        """Return how many characters at the end of a text may begin a stop string."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        begins = lambda end: any(stop.startswith(end) for stop in self._stops)
        return next((size for size in range(min(longest, len(text)), 0, -1) if begins(text[-size:])), 0)
