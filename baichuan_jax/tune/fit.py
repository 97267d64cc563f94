"""Conversations cut to the length of a sequence: the oldest turns go, texts stay whole."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

from baichuan_jax.chat.conversation import BadConversation
from baichuan_jax.chat.encode import ChatTemplate, Sample
from baichuan_jax.chat.jinja import Message
from baichuan_jax.core.errors import UserError
from baichuan_jax.tune.faults import TEMPLATE, TOO_LONG

Encode = Callable[[Sequence[Message]], Sample]


class Fitted(NamedTuple):
    """The samples of a conversation that fit. cut: whether turns were left out. answers_cut: those in no sample."""

    samples: list[Sample]
    cut: bool = False
    answers_cut: int = 0


def fit(template: ChatTemplate, messages: Sequence[Message], samples: list[Sample], length: int, cut: bool) -> Fitted:
    """Return what of a conversation fits into a sequence of `length` tokens. samples: as the template encodes it.

    cut: whether turns may be left out. Raise BadConversation if nothing fits.
    """
    fits = lambda sample: len(sample.ids_T) <= length + 1  # the last id is only a target
    if all(map(fits, samples)):
        return Fitted(samples)
    answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    # One sample has all answers in the loss, or each answer has a sample of its own.
    parts = [messages] if len(samples) == 1 else [messages[: answer + 1] for answer in answers]
    encode = (lambda some: template.encode(some)[-1]) if len(samples) == 1 else template.encode_last
    found = [
        (sample, 0) if fits(sample) else _shortened(encode, part, length) if cut else None
        for sample, part in zip(samples, parts)
    ]
    left = [each for each in found if each is not None]
    if not (cut and left):
        shortest = min(len(sample.ids_T) for sample in samples)
        more = "" if len(samples) == 1 else " or more"  # the last token is a target, and no input
        raise BadConversation(f"{shortest - 1} tokens{more}; TuneConfig.length is {length}", TOO_LONG)
    lost = left[0][1] if len(samples) == 1 else len(samples) - len(left)
    return Fitted([sample for sample, _ in left], True, lost)


def _shortened(encode: Encode, messages: Sequence[Message], length: int) -> tuple[Sample, int] | None:
    """Return the sample without as few of the oldest turns as can be, and how many; None if the last is too long."""
    first = 1 if messages[0]["role"] == "system" else 0
    turns = (len(messages) - first) // 2
    tried = {}

    def fits(left_out: int) -> bool:
        try:
            tried[left_out] = encode([*messages[:first], *messages[first + 2 * left_out :]])
        except UserError as error:
            raise BadConversation(str(error), TEMPLATE) from None
        return len(tried[left_out].ids_T) <= length + 1

    left_out = 1 + bisect_left(range(1, turns), True, key=fits)
    return (tried[left_out], left_out) if left_out < turns else None
