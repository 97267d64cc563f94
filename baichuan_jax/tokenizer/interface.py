"""The common interface of all tokenizers."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from baichuan_jax.core.errors import UserError


class AnyTokenizer(ABC):
    """Text to ids and back.

    vocab: number of ids. bos, eos: ids that mark the beginning and end of a text, or None. begin: ids prepended to a
    text, () or (bos,), depending on the files of the tokenizer and the argument `bos` of `load_tokenizer`. Plain text
    never encodes to special ids: "</s>" in a text is four characters, unless `specials` is set.
    """

    vocab: int
    bos: int | None
    eos: int | None
    begin: tuple[int, ...] = ()

    @property
    def end(self) -> tuple[int, ...]:
        """Return the ids appended to a document: `eos`, if there is one."""
        return () if self.eos is None else (self.eos,)

    @abstractmethod
    def encode_batch(self, texts: Sequence[str], threads: int = 1) -> list[np.ndarray]:
        """Return the ids of each text (int32 [tokens]), without special ids around them."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; special ids are skipped, bytes that are not UTF-8 become U+FFFD."""

    @abstractmethod
    def token_bytes(self, id: int) -> bytes:
        """Return the UTF-8 bytes of an id; b"" for special ids."""

    @cached_property
    @abstractmethod
    def specials(self) -> dict[str, int]:
        """Return {written form: special id}, as in {"</s>": 2}."""

    @cached_property
    def byte_ids(self) -> dict[int, int]:
        """Return {id: byte} of the byte-fallback ids; {} if the vocabulary is made of bytes."""
        return {}

    def encode(self, text: str, specials: bool = False) -> list[int]:
        """Return the ids of a text. specials: whether a written form, such as "</s>", becomes the special id."""
        if not (specials and self.specials):
            return self.encode_batch([text])[0].tolist()
        forms = "|".join(map(re.escape, sorted(self.specials, key=len, reverse=True)))
        parts = [part for part in re.split(f"({forms})", text) if part]
        return [id for part in parts for id in ([self.specials[part]] if part in self.specials else self.encode(part))]

    def prompt(self, text: str, specials: bool = False) -> list[int]:
        """Return the ids of a prompt: `begin` and the ids of the text; EOS (else BOS) if these are empty.

        specials: as in `encode`.
        """
        ids = [*self.begin, *self.encode(text, specials)]
        before = self.bos if self.eos is None else self.eos
        return [before] if not ids and before is not None else ids

    def byte_lengths(self) -> np.ndarray:
        """Return the number of UTF-8 bytes of each id (int32 [vocab]); 0 for special ids."""
        return np.array([len(self.token_bytes(id)) for id in range(self.vocab)], np.int32)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return (start, end) of each id of a text, in its UTF-8 bytes.

        Raise UserError if the tokenizer changes the text.
        """
        tokens = [self.token_bytes(id) for id in self.encode(text)]
        joined, raw = b"".join(tokens), text.encode()
        extra = len(joined) - len(raw)  # the space that some tokenizers prepend
        if extra not in (0, 1) or joined[extra:] != raw:
            raise UserError(
                f"this tokenizer does not preserve the text, so spans of its ids are undefined: {text[:40]!r}"
            )
        bounds = np.maximum(np.cumsum([0, *map(len, tokens)]) - extra, 0).tolist()
        return list(pairwise(bounds))


def bytes_of(tokenizer: AnyTokenizer, id: int) -> bytes:
    """Return the bytes of an id; b"" for rows of the model's token table that exceed the tokenizer's vocabulary."""
    return tokenizer.token_bytes(id) if id < tokenizer.vocab else b""


def is_text(data: bytes) -> bool:
    """Return whether bytes are whole characters of UTF-8."""
    try:
        return data.decode() is not None
    except UnicodeDecodeError:
        return False


def check_ids(ids: Sequence[int] | np.ndarray, rows: int) -> None:
    """Raise UserError unless all ids have a row in a token table of `rows` rows; it names the id."""
    outside = [id for id in (int(np.max(ids, initial=0)), int(np.min(ids, initial=0))) if not 0 <= id < rows]
    if outside:
        raise UserError(
            f"token id {outside[0]} is outside the model's token table of {rows} rows (ids 0 to {rows - 1}); use the "
            "tokenizer that the model was trained with, or remove the text that contains this id"
        )


def check_file(path: Path) -> None:
    """Raise UserError if there is no tokenizer file."""
    if not path.is_file():
        raise UserError(
            f"no tokenizer at {path}; set TokenizerConfig.file, or train one: baichuan-jax tokenizer CONFIG"
        )
