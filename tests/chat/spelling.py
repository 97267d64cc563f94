"""A tokenizer of bytes with any special tokens, and samples written with «marks» around what is in the loss."""

from functools import cached_property
from itertools import groupby

import numpy as np

from baichuan_jax.chat.encode import Sample
from baichuan_jax.tokenizer.interface import AnyTokenizer


class Bytes(AnyTokenizer):
    """Ids 0 to 255 are bytes; special ids follow in the order of their forms, EOS first."""

    def __init__(self, *forms: str, begins: bool = False):
        self._forms = ("</s>", "<s>", *forms)
        self.vocab, self.eos, self.bos = 256 + len(self._forms), 256, 257
        self.begin = (self.bos,) if begins else ()

    def encode_batch(self, texts, threads=1):
        return [np.frombuffer(text.encode(), np.uint8).astype(np.int32) for text in texts]

    def decode(self, ids):
        return b"".join(map(self.token_bytes, ids)).decode(errors="replace")

    def token_bytes(self, id):
        return bytes([id]) if id < 256 else b""

    @cached_property
    def specials(self):
        return {form: 256 + number for number, form in enumerate(self._forms)}

    def spell(self, ids) -> str:
        """Return the text of ids with the forms of special ones."""
        return b"".join(bytes([id]) if id < 256 else self._forms[id - 256].encode() for id in ids).decode()


def marked(tokenizer: Bytes, sample: Sample) -> str:
    """Return the text of a sample with « and » around what is in the loss."""
    assert sample.ids_T.dtype == np.int32
    assert sample.mask_T.dtype == bool
    assert sample.ids_T.shape == sample.mask_T.shape
    runs = groupby(zip(sample.ids_T.tolist(), sample.mask_T.tolist()), key=lambda pair: pair[1])
    texts = ((inside, tokenizer.spell([id for id, _ in run])) for inside, run in runs)
    return "".join(f"«{text}»" if inside else text for inside, text in texts)


def talk(*contents: str, system: str | None = None) -> list[dict[str, str]]:
    """Return messages: user and assistant take turns."""
    first = [] if system is None else [{"role": "system", "content": system}]
    turns = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(contents)]
    return first + turns
