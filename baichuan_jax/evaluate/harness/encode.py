"""Requests as ids, by the conventions of lm-eval's Hugging Face backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.interface import AnyTokenizer, check_ids, is_text

Ids = list[int]


class Encoder:
    """Encode texts, each with the ids that the tokenizer prepends. rows: of the model's token table."""

    def __init__(self, tokenizer: AnyTokenizer, rows: int):
        self._tokenizer, self._rows = tokenizer, rows

    @property
    def _first(self) -> int:
        """The id in place of an empty context: BOS, else EOS. Raise UserError if the tokenizer has neither."""
        ids = [id for id in (self._tokenizer.bos, self._tokenizer.eos) if id is not None]
        if not ids:
            raise UserError("the tokenizer has neither BOS nor EOS; an empty context needs one of them")
        return ids[0]

    def texts(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text."""
        begin = list(self._tokenizer.begin)
        encoded = self._tokenizer.encode_batch(texts) if texts else []
        for ids in (begin, *encoded):
            check_ids(ids, self._rows)
        return [begin + ids.tolist() for ids in encoded]

    def prompts(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each prompt; an empty one becomes BOS, else EOS."""
        return [ids or [self._first] for ids in self.texts(texts)]

    def continuations(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text without what the tokenizer prepends: as an answer is encoded after a prompt."""
        found = [ids.tolist() for ids in self._tokenizer.encode_batch(texts)]
        for ids in found:
            check_ids(ids, self._rows)
        return found

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[Ids, Ids]]:
        """Return the ids of (context, continuation); context and continuation are encoded as one text.

        Spaces at the end of a context are moved to its continuation. An empty context becomes BOS, else EOS. Each text
        is encoded once, since the choices of a question share their context.
        """
        kept = [context.rstrip() for context, _ in pairs]
        moved = [(before, pair[0][len(before) :] + pair[1]) for before, pair in zip(kept, pairs)]
        wanted = dict.fromkeys(text for before, after in moved if before for text in (before, before + after))
        ids = dict(zip(wanted, self.texts(list(wanted))))
        return [self._pair(ids, before, after) for before, after in moved]

    def _pair(self, ids: dict[str, Ids], before: str, after: str) -> tuple[Ids, Ids]:
        if before:
            return ids[before], ids[before + after][len(ids[before]) :]
        alone, first = self._tokenizer.encode(after), [self._first]
        check_ids(first + alone, self._rows)
        return (alone[:1], alone[1:]) if alone[:1] == first else (first, alone)

    def windows(self, text: str, context: int) -> list[tuple[Ids, Ids]]:
        """Return (context ids, continuation ids) that predict every id of a text once.

        The first window begins with BOS, else EOS. The last window is extended to the left, so that it is full.
        """
        [ids] = self.texts([text])
        first, windows = [self._first], []
        for start in range(0, len(ids), context):
            part = ids[start : start + context]
            end = start + len(part)
            before = first if start == 0 else ids[max(0, end - context - 1) : start]
            windows.append((before, part))
        return windows


def spelled(ids: Sequence[int], byte_ids: Mapping[int, int]) -> Ids:
    """Return ids that decode as transformers decodes `ids`: each byte of a run that is not UTF-8 becomes U+FFFD.

    SentencePiece itself keeps the whole characters of such a run.
    """
    known, found = {byte: id for id, byte in byte_ids.items()}, []
    for is_byte, row in groupby(ids, byte_ids.__contains__):
        row = list(row)
        if is_byte and not is_text(bytes(byte_ids[id] for id in row)):
            row = [known[byte] for byte in "\ufffd".encode()] * len(row)
        found += row
    return found
