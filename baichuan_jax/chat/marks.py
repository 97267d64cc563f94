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

    def encode(self, parts: Sequence[str]) -> list[int]:
        """Return the ids of parts, which are special forms at odd places and plain text at even ones."""
        plain = iter(self._tokenizer.encode_batch([part for part in parts[::2] if part]))
        ids: list[int] = []
        for number, part in enumerate(parts):
            if number % 2:
                ids.append(self._ids[part])
            elif part:
                ids += np.asarray(next(plain)).tolist()
        return ids


class Hiding:
    """Hide the forms in the messages of one conversation, and tell them from the template's in its renderings."""

    def __init__(self, mark: str, breakable: re.Pattern[str] | None, form: re.Pattern[str], marks: Marks):
        self._mark, self._break, self._form, self._marks = mark, breakable, form, marks

    def hide(self, text: str) -> str:
        """Return a message's text with its forms broken."""
        return self._break.sub(lambda found: found[0] + self._mark, text) if self._break else text

    def encode(self, rendering: str) -> list[int]:
        """Return the ids of a rendering or a part of it: the template's forms as special ids, the rest as text."""
        parts = self._form.split(rendering)
        return self._marks.encode([part.replace(self._mark, "") for part in parts])

    def end(self, answer: str) -> int | None:
        """Return where the last form of the template in a rendered answer ends; None if text follows it, or is all."""
        stops = [found.end() for found in self._form.finditer(answer)]
        return stops[-1] if stops and not answer[stops[-1] :].strip() else None


def _any(forms: Iterable[str]) -> str:
    """Return a pattern of any of the forms, the longest first; of nothing if there are none."""
    return "|".join(map(re.escape, sorted(forms, key=len, reverse=True))) or "(?!)"
