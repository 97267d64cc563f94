"""Encode and decode text with a SentencePiece model; lossless for models trained here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.interface import AnyTokenizer, check_file
from baichuan_jax.tokenizer.model_file import parse_model, symbols_as_controls
from baichuan_jax.tokenizer.special_tokens import begin_ids, read_special_tokens, written_form
from baichuan_jax.tokenizer.word_cache import WordCache, has_words

# SentencePiece represents a space as U+2581, so a real U+2581 would decode to a space. It is encoded as bytes instead.
SPACE_MARK = "\u2581"

CHUNK = 500  # characters; SentencePiece's time grows faster than the length of a string


class SentencePieceTokenizer(AnyTokenizer):
    """A SentencePiece model.

    In models trained here the special ids are `<unk>` 0, `<s>` 1, `</s>` 2, as in Baichuan-7B, and
    `decode(encode(text)) == text` for every string that UTF-8 can encode. `<s>` is prepended to a text, as in LLaMA,
    unless `add_bos_token` in tokenizer_config.json is false, as in Baichuan-7B's.
    """

    unk = 0

    def __init__(self, path: Path):
        """Load a `.model` file. Raise UserError if it is missing or broken."""
        check_file(path)
        try:
            model = parse_model(path.read_bytes())
            self._model = sentencepiece.SentencePieceProcessor(
                model_proto=symbols_as_controls(model).SerializeToString()
            )
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{path} is not a SentencePiece model ({error})") from error
        self.vocab = self._model.get_piece_size()
        known = read_special_tokens(path)
        self.bos, self.eos = self._end(known, "bos_token"), self._end(known, "eos_token")
        self.begin = begin_ids(self.bos, known.get("add_bos_token") is not False)  # LLaMA's files do not name it
        normal = model.normalizer_spec
        changes = normal.add_dummy_prefix or normal.precompiled_charsmap or normal.remove_extra_whitespaces
        pieces = [piece.piece for piece in model.pieces]
        keeps = model.trainer_spec.byte_fallback and not changes
        keeps = keeps and not any("\n" in piece and len(piece) > 1 for piece in pieces)
        # Not None only if no piece crosses a line end and text is preserved.
        mark = [self._model.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE_MARK.encode()]
        self._mark = np.array(mark, np.int32) if keeps else None
        apart = keeps and not any({" ", SPACE_MARK} & set(piece.lstrip(SPACE_MARK)) for piece in pieces)
        # Not None only if, in addition, no piece crosses a word boundary.
        self._words = WordCache(self._encode_lines) if apart else None

    def _end(self, known: dict[str, Any], name: str) -> int | None:
        """Return the id of a special token: the one named in the files beside the model, else the model's own."""
        if name in known:
            form = written_form(known, name)
            id = self._model.piece_to_id(form) if form else -1
            return None if id < 0 or self._model.is_unknown(id) else id
        id = self._model.bos_id() if name == "bos_token" else self._model.eos_id()
        return None if id < 0 else id

    def _encode_lines(self, texts: Sequence[str], threads: int) -> list[np.ndarray]:
        """Return the ids of texts, which are cut at line ends and at each SPACE_MARK."""
        parts = [[part for line in _chunks(text) for part in _around_marks(line)] for text in texts]
        flat = [part for text in parts for part in text if part is not None]
        encoded = iter(self._model.encode(flat, num_threads=threads, return_type="numpy"))
        return [np.concatenate([self._mark if part is None else next(encoded) for part in text]) for text in parts]

    def encode_batch(self, texts: Sequence[str], threads: int = 1) -> list[np.ndarray]:
        """Return the ids of each text (int32 [tokens]), with no special ids around them."""
        if self._mark is None:
            return self._model.encode(list(texts), num_threads=threads, return_type="numpy")
        if self._words is None:
            return self._encode_lines(texts, threads)
        spaced = [has_words(text) for text in texts]
        by_word = iter(self._words.encode([text for text, has in zip(texts, spaced) if has], threads))
        by_line = iter(self._encode_lines([text for text, has in zip(texts, spaced) if not has], threads))
        return [next(by_word if has else by_line) for has in spaced]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; special ids are skipped, bytes that are not UTF-8 become U+FFFD."""
        return self._model.decode([int(id) for id in ids])

    def token_bytes(self, id: int) -> bytes:
        """Return the UTF-8 bytes of an id; b"" for special ids."""
        model = self._model
        if model.is_control(id) or model.is_unknown(id):
            return b""
        piece = model.id_to_piece(id)
        return bytes([int(piece[3:5], 16)]) if model.is_byte(id) else piece.replace(SPACE_MARK, " ").encode()

    @cached_property
    def byte_ids(self) -> dict[int, int]:
        """Return {id: byte} of the byte-fallback ids."""
        return {id: self.token_bytes(id)[0] for id in range(self.vocab) if self._model.is_byte(id)}

    @cached_property
    def specials(self) -> dict[str, int]:
        """Return {written form: special id}, as in {"</s>": 2}."""
        model = self._model
        return {model.id_to_piece(id): id for id in range(self.vocab) if model.is_control(id)}


def _chunks(text: str) -> list[str]:
    """Cut a text after line ends: each chunk has CHUNK characters and the rest of the line in which they end."""
    chunks, start = [], 0
    while len(text) - start > CHUNK and (end := text.find("\n", start + CHUNK) + 1):
        chunks.append(text[start:end])
        start = end
    return [*chunks, text[start:]]


def _around_marks(text: str) -> list[str | None]:
    """Return the parts between the SPACE_MARKs, with None for each mark."""
    if SPACE_MARK not in text:
        return [text]
    return [part for piece in text.split(SPACE_MARK) for part in (None, piece)][1:]
