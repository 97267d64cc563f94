"""Special forms in texts: those that a template writes are ids, those in a message stay text.

A form in a message is broken by a noncharacter after its first character before the template sees it, so that the only
whole forms in the rendering are the template's. Trimming and splitting in the template work as ever, since the rest of
the message is as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.interface import AnyTokenizer

Part = int | str  # a special id, or plain text
NONCHARACTERS = tuple(map(chr, range(0xFDD0, 0xFDF0)))  # Unicode reserves them for such use inside a program


class Marks:
    """The special forms of a tokenizer."""

    def __init__(self, tokenizer: AnyTokenizer):
        self._tokenizer, self._ids = tokenizer, tokenizer.specials
        forms = sorted(filter(None, self._ids), key=len, reverse=True)
        # A message may also end with the beginning of a form, which what follows it in the rendering would complete.
        begun = {form[:size] for form in forms for size in range(1, len(form))}
        first = "".join(map(re.escape, sorted({form[0] for form in forms})))
        breakable = f"(?:{_any(forms)}|(?:{_any(begun)})\\Z)"
        self._break = re.compile(f"(?=[{first}])(?={breakable}).", re.DOTALL) if forms else None
        self._forms = _any(forms)

    def hiding(self, texts: Iterable[str]) -> Hiding:
        """Return what hides forms in these texts. Raise UserError if they have every noncharacter there is."""
        used = set().union(*texts)
        for mark in NONCHARACTERS:
            if mark not in used:
                return Hiding(mark, self._break, re.compile(f"({self._forms})(?!{mark})"), self)
        raise UserError("a conversation with each of the noncharacters U+FDD0 to U+FDEF is not supported; remove one")

    def parts(self, pieces: Sequence[str]) -> list[Part]:
        """Return pieces that are special forms at odd places and plain text at even ones; empty text is left out."""
        return [self._ids[piece] if number % 2 else piece for number, piece in enumerate(pieces) if piece]

    def encode(self, parts: Sequence[Part]) -> list[np.ndarray]:
        """Return the ids of each part, int32: many parts at once take far less time than each alone."""
        plain = iter(self._tokenizer.encode_batch([part for part in parts if isinstance(part, str)]))
        ids = (next(plain) if isinstance(part, str) else [part] for part in parts)
        return [np.asarray(each, np.int32) for each in ids]


class Hiding:
    """Hide the forms in the messages of one conversation, and tell them from the template's in its renderings."""

    def __init__(self, mark: str, breakable: re.Pattern[str] | None, form: re.Pattern[str], marks: Marks):
        self._mark, self._break, self._form, self._marks = mark, breakable, form, marks

    def hide(self, text: str) -> str:
        """Return a message's text with its forms broken."""
        return self._break.sub(lambda found: found[0] + self._mark, text) if self._break else text

    def parts(self, rendering: str) -> list[Part]:
        """Return a rendering or a piece of it: the template's forms as special ids, the rest as text."""
        return self._marks.parts([piece.replace(self._mark, "") for piece in self._form.split(rendering)])

    def plain(self, rendering: str) -> str:
        """Return a rendering without the template's forms."""
        return self._form.sub("", rendering)

    def end(self, answer: str) -> int | None:
        """Return where the last form of the template in a rendered answer ends; None if text follows it, or is all."""
        stops = [found.end() for found in self._form.finditer(answer)]
        return stops[-1] if stops and not answer[stops[-1] :].strip() else None


def _any(forms: Iterable[str]) -> str:
    """Return a pattern of any of the forms, the longest first; of nothing if there are none."""
    return "|".join(map(re.escape, sorted(forms, key=len, reverse=True))) or "(?!)"
