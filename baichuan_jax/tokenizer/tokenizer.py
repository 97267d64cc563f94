"""Text to ids and back, without loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sentencepiece

from baichuan_jax.core.errors import UserError

# SentencePiece writes a space as U+2581, so a real U+2581 would come back as a space: we spell it in bytes instead.
SPACE_MARK = "\u2581"


class Tokenizer:
    """A SentencePiece model with byte fallback. ids: `<unk>` 0, `<s>` 1, `</s>` 2, as in Baichuan-7B.

    `decode(encode(text)) == text` for every string that UTF-8 can encode; special ids never come out of plain text.
    """

    unk, bos, eos = 0, 1, 2

    def __init__(self, path: Path):
        """Loads a `.model` file. Raises UserError if it is missing or broken."""
        if not path.is_file():
            raise UserError(f"no tokenizer at {path}; train one first: baichuan-jax tokenizer CONFIG")
        try:
            self._model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except RuntimeError as error:
            raise UserError(f"{path} is not a SentencePiece model ({error})") from error
        self._space_mark = [self._model.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE_MARK.encode()]

    @property
    def vocab(self) -> int:
        """Number of ids."""
        return self._model.get_piece_size()

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, with no special ids around them."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str], threads: int = 1) -> list[list[int]]:
        """Encodes many texts at once."""
        if not any(SPACE_MARK in text for text in texts):
            return self._model.encode(texts, num_threads=threads)
        return [self._encode_marked(text) for text in texts]

    def _encode_marked(self, text: str) -> list[int]:
        first, *rest = self._model.encode(text.split(SPACE_MARK))
        return first + [id for part in rest for id in (*self._space_mark, *part)]

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of ids; special ids vanish, bytes that are not UTF-8 become U+FFFD."""
        return self._model.decode([int(id) for id in ids])

    def byte_lengths(self) -> np.ndarray:
        """Returns how many UTF-8 bytes of text each id stands for (int32 [vocab]); 0 for special ids."""
        model = self._model

        def length(id: int) -> int:
            if model.is_control(id) or model.is_unknown(id):
                return 0
            if model.is_byte(id):
                return 1
            return len(model.id_to_piece(id).replace(SPACE_MARK, " ").encode())

        return np.array([length(id) for id in range(self.vocab)], np.int32)
