"""Adapters for other kinds of tokenizers: Hugging Face's tokenizer.json, and tiktoken's rank files."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.extras import install_extra
from baichuan_jax.tokenizer.interface import AnyTokenizer, check_file
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SPACE_MARK
from baichuan_jax.tokenizer.special_tokens import begin_ids, read_special_tokens, template_begin, written_form

# Common special tokens, for files that do not name theirs.
BEGIN = ("<s>", "<|begin_of_text|>", "<|startoftext|>", "<bos>")
END = ("</s>", "<|end_of_text|>", "<eos>", "<|endoftext|>")
# A rank file does not contain the pre-tokenization pattern. This is cl100k_base's; numbers are split into single digits
# if the file has no token of several digits (as Qwen's).
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class HuggingFaceTokenizer(AnyTokenizer):
    """A tokenizer.json. BOS and EOS come from tokenizer_config.json in the same directory, else from common names.

    `add_bos_token` there decides whether BOS is prepended to a text; without it the post-processor of the file does.
    """

    def __init__(self, path: Path):
        """Load the file. Raise UserError if it is missing or broken, or the package tokenizers is absent."""
        check_file(path)
        try:
            from tokenizers import Tokenizer as Model
        except ImportError:
            raise UserError(f"{path} needs the package tokenizers: {install_extra('hf')}") from None
        try:
            self._model = Model.from_file(str(path))
        except Exception as error:  # the package raises plain exceptions for broken files
            raise UserError(f"{path} is not a tokenizer.json ({error})") from error
        self._model.encode_special_tokens = True  # special tokens in a text are encoded as text
        content = json.loads(self._model.to_str())
        self._byte_level = '"ByteLevel"' in json.dumps(content["decoder"])
        self.vocab = max(self._model.get_vocab(with_added_tokens=True).values()) + 1
        known, begin = read_special_tokens(path), template_begin(content["post_processor"])
        self.eos, self.bos = self._said(known, "eos_token", END), self._said(known, "bos_token", BEGIN)
        if begin and self.bos is None:
            self.bos = begin[0]
        begins = known.get("add_bos_token")
        self.begin = begin_ids(self.bos, bool(begin) if begins is None else begins, begin)

    def _said(self, known: dict[str, Any], name: str, usual: Sequence[str]) -> int | None:
        """Return the id of a special token: the one the files name, else the first usual name that exists."""
        forms = [written_form(known, name)] if name in known else usual
        ids = map(self._model.token_to_id, filter(None, forms))
        return next((id for id in ids if id is not None), None)

    @cached_property
    def _with_specials(self) -> Any:
        """Return the same tokenizer, except that the written form of a special id is encoded as that id."""
        model = type(self._model).from_str(self._model.to_str())
        added = {token.content for token in model.get_added_tokens_decoder().values()}
        model.add_special_tokens([form for form in self.specials if form not in added])
        return model

    def encode(self, text: str, specials: bool = False) -> list[int]:
        """Return the ids of a text. specials: whether a written form, such as "</s>", becomes the special id."""
        if not specials:
            return super().encode(text)
        return self._with_specials.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str], threads: int = 1) -> list[np.ndarray]:
        """Return the ids of each text (int32 [tokens]). RAYON_NUM_THREADS sets the number of threads."""
        found = self._model.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in found]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; special ids are skipped, bytes that are not UTF-8 become U+FFFD."""
        return self._model.decode([int(id) for id in ids], skip_special_tokens=True)

    def token_bytes(self, id: int) -> bytes:
        """Return the UTF-8 bytes of an id; b"" for special ids."""
        token = self._model.id_to_token(id)
        if token is None or token in self.specials:
            return b""
        if self._byte_level:
            return bytes(map(_BYTES.__getitem__, token)) if set(token) <= _BYTES.keys() else token.encode()
        if len(token) == 6 and token.startswith("<0x"):
            return bytes([int(token[3:5], 16)])
        return token.replace(SPACE_MARK, " ").encode()

    @cached_property
    def specials(self) -> dict[str, int]:
        """Return {written form: special id}, as in {"<|endoftext|>": 0}."""
        added = self._model.get_added_tokens_decoder()
        specials = (self._model.id_to_token(id) for id in (self.bos, self.eos) if id is not None)
        named = {name: id for name in (*BEGIN, *END, *specials) if (id := self._model.token_to_id(name)) is not None}
        return {token.content: id for id, token in added.items() if token.special} | named


def _byte_alphabet() -> dict[str, int]:
    """Return {character: byte}: the characters that GPT-2's byte-level BPE writes for bytes."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + number): byte for number, byte in enumerate(hidden)}


_BYTES = _byte_alphabet()


class TiktokenTokenizer(AnyTokenizer):
    """A .tiktoken file: each line holds a base64 token and its rank. Such files define no special ids."""

    bos = eos = None

    def __init__(self, path: Path):
        """Load the file. Raise UserError if it is missing or broken, or the package tiktoken is absent."""
        check_file(path)
        try:
            import tiktoken
        except ImportError:
            raise UserError(f"{path} needs the package tiktoken: {install_extra('hf')}") from None
        self._bytes = {rank: token for token, rank in _ranks(path).items()}
        ranks = {token: rank for rank, token in self._bytes.items()}
        pattern = PATTERN.format(digits="{1,3}" if b"123" in ranks else "")
        self._model = tiktoken.Encoding(path.stem, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        self.vocab = max(self._bytes) + 1

    def encode_batch(self, texts: Sequence[str], threads: int = 1) -> list[np.ndarray]:
        """Return the ids of each text (int32 [tokens])."""
        found = self._model.encode_ordinary_batch(list(texts), num_threads=threads)
        return [np.array(ids, np.int32) for ids in found]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; special ids are skipped, bytes that are not UTF-8 become U+FFFD."""
        return b"".join(self.token_bytes(int(id)) for id in ids).decode(errors="replace")

    def token_bytes(self, id: int) -> bytes:
        """Return the UTF-8 bytes of an id; b"" for special ids."""
        return self._bytes.get(id, b"")

    @cached_property
    def specials(self) -> dict[str, int]:
        """Return {}: a rank file defines no special ids."""
        return {}


def _ranks(path: Path) -> dict[bytes, int]:
    ranks = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise UserError(f"{path}:{number}: expected base64 and a rank, found {line[:40]!r}") from None
    if missing := 256 - sum(bytes([byte]) in ranks for byte in range(256)):
        raise UserError(f"{path}: {missing} single bytes have no rank; the file is truncated or not a rank file")
    return ranks
