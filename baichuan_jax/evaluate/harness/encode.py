"""Requests as ids, by the conventions of lm-eval's Hugging Face backend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from baichuan_jax.core.files import read_json
from baichuan_jax.tokenizer.interface import AnyTokenizer

Ids = list[int]


def begins_texts(file: Path) -> bool:
    """Returns whether stock transformers puts the begin id before a text, with the files beside this tokenizer.

    A tokenizer.json says so itself. A SentencePiece model does, as LLaMA's, unless tokenizer_config.json forbids it.
    """
    if file.suffix == ".json":
        return _template_begins(json.loads(file.read_text(encoding="utf-8")).get("post_processor"))
    config = file.with_name("tokenizer_config.json")
    known = read_json(config) if config.is_file() else {}
    return file.suffix == ".model" and bool(known.get("add_bos_token", True))


def _template_begins(processor: dict | None) -> bool:
    """Returns whether a post-processor, or one of a sequence of them, begins a text with a special id."""
    parts = [processor, *(processor or {}).get("processors", [])]
    singles = [part["single"] for part in parts if part and part.get("type") == "TemplateProcessing"]
    return any("SpecialToken" in single[0] for single in singles if single)


class Encoder:
    """Encodes texts, with the begin id before each if the tokenizer is one that `begins`."""

    def __init__(self, tokenizer: AnyTokenizer, begins: bool):
        self._tokenizer, self._begin = tokenizer, [tokenizer.bos] if begins else []

    def texts(self, texts: Sequence[str]) -> list[Ids]:
        """Returns the ids of each text."""
        return [self._begin + ids.tolist() for ids in self._tokenizer.encode_batch(texts)] if texts else []

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[Ids, Ids]]:
        """Returns the ids of (context, continuation), the second being what the whole has beyond the first.

        Spaces at the end of a context belong to its continuation. An empty context is the begin id. Each text is
        encoded once, however often it comes: the choices of a question have one context.
        """
        moved = [_move_spaces(*pair) for pair in pairs]
        wanted = dict.fromkeys(text for before, after in moved if before for text in (before, before + after))
        ids = dict(zip(wanted, self.texts(list(wanted))))
        return [self._pair(ids, before, after) for before, after in moved]

    def _pair(self, ids: dict[str, Ids], before: str, after: str) -> tuple[Ids, Ids]:
        if before:
            return ids[before], ids[before + after][len(ids[before]) :]
        alone = self._tokenizer.encode(after)
        return (alone[:1], alone[1:]) if alone[:1] == [self._tokenizer.bos] else ([self._tokenizer.bos], alone)

    def windows(self, text: str, context: int) -> list[tuple[Ids, Ids]]:
        """Returns (context ids, continuation ids) that predict every id of a text once, each after as many as fit.

        The first window begins with the begin id; the last reaches back into the one before.
        """
        [ids] = self.texts([text])
        first, windows = [self._tokenizer.bos], []
        for start in range(0, len(ids), context):
            part = ids[start : start + context]
            end = start + len(part)
            before = first if start == 0 else ids[max(0, end - context - 1) : start]
            windows.append((before, part))
        return windows


def spelled(ids: Sequence[int], byte_ids: Mapping[int, int]) -> Ids:
    """Returns ids whose text is that which transformers makes of `ids`: of a row of bytes that is no UTF-8, each byte
    is a U+FFFD. SentencePiece keeps the characters that are whole.
    """
    known, found = {byte: id for id, byte in byte_ids.items()}, []
    for is_byte, row in groupby(ids, byte_ids.__contains__):
        row = list(row)
        if is_byte and not _is_text(bytes(byte_ids[id] for id in row)):
            row = [known[byte] for byte in "\ufffd".encode()] * len(row)
        found += row
    return found


def _is_text(data: bytes) -> bool:
    try:
        return data.decode() is not None
    except UnicodeDecodeError:
        return False


def _move_spaces(context: str, continuation: str) -> tuple[str, str]:
    kept = context.rstrip()
    return (kept, context[len(kept) :] + continuation) if context else (context, continuation)
