"""Measure a tokenizer on texts, as counts, which add up over texts and domains; rates are computed from them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from baichuan_jax.tokenizer.interface import AnyTokenizer, is_text

WORD = re.compile(r"[^\W\d_]+")  # a run of letters; meaningless for Chinese, which has no spaces between words
NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Measured:
    """Counts over some texts.

    tokens, characters, bytes, words, documents: of the texts. whole: documents that decode to the original text.
    split: tokens that are part of a character. unknown: tokens without text. digits: in all numbers. digit_tokens:
    tokens of all numbers, each on a line of its own. seconds: of encoding.
    """

    tokens: int
    characters: int
    bytes: int
    words: int
    documents: int
    whole: int
    split: int
    unknown: int
    digits: int
    digit_tokens: int
    seconds: float

    @property
    def per_character(self) -> float:
        """Return tokens per character: the compress rate of Baichuan-7B's README."""
        return self.tokens / self.characters

    def __add__(self, other: Measured) -> Measured:
        return Measured(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class Meter:
    """Measure one tokenizer."""

    def __init__(self, tokenizer: AnyTokenizer):
        self._tokenizer = tokenizer
        pieces = [tokenizer.token_bytes(id) for id in range(tokenizer.vocab)]
        self._split = np.array([not is_text(piece) for piece in pieces])
        self._unknown = np.array([not piece for piece in pieces])

    def measure(self, texts: Sequence[str]) -> Measured:
        """Return the counts for texts, encoded on one thread."""
        tokenizer = self._tokenizer
        start = time.perf_counter()
        encoded = tokenizer.encode_batch(texts)
        seconds = time.perf_counter() - start
        ids = np.concatenate([*encoded, np.empty(0, np.int32)]).astype(np.int64)
        numbers = [number for text in texts for number in NUMBER.findall(text)]
        return Measured(
            tokens=len(ids),
            characters=sum(map(len, texts)),
            bytes=sum(len(text.encode()) for text in texts),
            words=sum(len(WORD.findall(text)) for text in texts),
            documents=len(texts),
            whole=sum(tokenizer.decode(ids) == text for ids, text in zip(encoded, texts)),
            split=int(self._split[ids].sum()),
            unknown=int(self._unknown[ids].sum()),
            digits=sum(map(len, numbers)),
            digit_tokens=self._tokens_after_newline(numbers),
            seconds=seconds,
        )

    def _tokens_after_newline(self, numbers: list[str]) -> int:
        """Return the number of tokens of numbers at the beginning of a line, where no tokenizer prepends a space."""
        lines = self._tokenizer.encode_batch([f"\n{number}" for number in numbers])
        return sum(map(len, lines)) - len(numbers) * len(self._tokenizer.encode("\n"))
