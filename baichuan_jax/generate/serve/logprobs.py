"""Log-probabilities of tokens in the format of OpenAI's completions."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

from baichuan_jax.generate.engine import Scores
from baichuan_jax.tokenizer.interface import AnyTokenizer, bytes_of


class Spelling:
    """Ids as clients see them: the text of each token, and its offset in the whole text."""

    def __init__(self, tokenizer: AnyTokenizer):
        self._tokenizer = tokenizer
        self._forms = {id: form for form, id in tokenizer.specials.items()}

    def token(self, id: int) -> str:
        """Return the text of an id, "bytes:\\xe4\\xb8" if it is no whole character, or a special form."""
        data = bytes_of(self._tokenizer, id)
        try:
            return data.decode() if data else self._forms.get(id, "")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of ids; bytes that are not UTF-8 become U+FFFD, special ids are skipped."""
        return b"".join(bytes_of(self._tokenizer, id) for id in ids).decode(errors="replace")

    def offsets(self, ids: Sequence[int]) -> list[int]:
        """Return the number of whole characters before each id."""
        decoder, found, at = codecs.getincrementaldecoder("utf-8")("replace"), [], 0
        for id in ids:
            found.append(at)
            at += len(decoder.decode(bytes_of(self._tokenizer, id)))
        return found


def logprobs(
    spelling: Spelling, ids: Sequence[int], scores: Scores | None, most: int, first: int, unseen: int
) -> dict[str, Any]:
    """Return tokens, log-probabilities and alternatives of the ids from number `first` on.

    scores: of all ids; None for a single id. The first id has no log-probability. most: number of alternatives at each
    position; the token itself is always included. unseen: number of characters of the ids that precede the shown text:
    the space that some tokenizers prepend.
    """
    own, top = [None], [None]
    for place in range(len(ids) - 1):
        own.append(float(scores.log_p[place]))
        best = zip(scores.top_ids[place, :most].tolist(), scores.top_log_p[place, :most].tolist())
        told: dict[str, float] = {}
        for id, log_p in [*best, (ids[place + 1], own[-1])]:
            told.setdefault(spelling.token(id), log_p)  # of two ids with the same text, keep the more probable
        top.append(told)
    return {
        "tokens": [spelling.token(id) for id in ids[first:]],
        "token_logprobs": own[first:],
        "top_logprobs": top[first:],
        "text_offset": [max(0, at - unseen) for at in spelling.offsets(ids[first:])],
    }
