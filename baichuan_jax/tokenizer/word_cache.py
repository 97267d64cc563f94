"""A cache of encoded words, for texts in which words repeat."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

WORD = re.compile(r" *[^ \n]+| +|\n")  # a word includes the spaces before it; no piece crosses its border
SPACES = 0.1  # least share of spaces for which the cache pays off: English has 0.15 to 0.2
SIZE = 2**18  # words in the cache, about 40 MB


def has_words(text: str) -> bool:
    """Return whether spaces separate short words, as in English and code but not in Chinese."""
    return text.count(" ") > SPACES * len(text)


class WordCache:
    """Encode texts word by word, each word once. Correct only if no piece spans two words or contains a line end.

    encode_lines: takes (texts, threads), returns the ids of each text; a line end must have an id of its own.
    """

    def __init__(self, encode_lines: Callable[[Sequence[str], int], list[np.ndarray]]):
        """Start with an empty cache."""
        self._encode_lines = encode_lines
        self._forget()

    def _forget(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict()  # of each word; looking up a new word adds the next number
        self._numbers.default_factory = self._numbers.__len__
        self._ids: list[bytes] = []  # the int32 ids of each number

    def encode(self, texts: Sequence[str], threads: int) -> list[np.ndarray]:
        """Return the ids of each text (int32 [tokens])."""
        if len(self._numbers) > SIZE:
            self._forget()
        words = [list(map(self._numbers.__getitem__, WORD.findall(text))) for text in texts]
        self._learn(list(islice(self._numbers, len(self._ids), None)), threads)
        return [np.frombuffer(b"".join(map(self._ids.__getitem__, text)), np.int32) for text in words]

    def _learn(self, words: Sequence[str], threads: int) -> None:
        """Encode new words as the lines of one text, which is faster than one by one."""
        line_end, ids = self._encode_lines(["\n", "".join(f"{word}\n" for word in words if word != "\n")], threads)
        stops = iter((ids.itemsize * np.flatnonzero(ids == line_end)).tolist())
        raw, begin = ids.tobytes(), 0
        for word in words:
            if word == "\n":
                self._ids.append(line_end.tobytes())
                continue
            end = next(stops)
            self._ids.append(raw[begin:end])
            begin = end + ids.itemsize
