"""A chat template with a tokenizer: ids and loss masks of training, and prompts of generation, by one road."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from baichuan_jax.chat.conversation import check_answers, check_messages
from baichuan_jax.chat.jinja import Message
from baichuan_jax.chat.marks import Marks, Part
from baichuan_jax.chat.rendered import MOST_ANSWERS, Render, Rendered, between
from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.interface import AnyTokenizer


class Sample(NamedTuple):
    """A text of training: T token ids, and which of them are in the loss."""

    ids_T: np.ndarray
    mask_T: np.ndarray


class _Draft(NamedTuple):
    """A sample before its texts are encoded: parts, and which of them are in the loss."""

    parts: list[Part]
    inside: list[bool]


class ChatTemplate:
    """Conversations to ids. name: of the template, for messages. text: its Jinja source.

    The mask covers each answer and the special form that ends it, and no white space after that. It comes from
    renderings of the conversation's beginnings: up to a question, with the beginning of an answer, and up to an answer.
    """

    def __init__(self, name: str, text: str, render: Render, tokenizer: AnyTokenizer, begin: Sequence[int] = ()):
        """render: (messages, whether the text ends with the beginning of an answer) to text. begin: ids before it."""
        self.name, self.text = name, text
        self._render, self._begin = render, list(begin)
        self._marks = Marks(tokenizer)
        self._specials = frozenset(tokenizer.specials.values())

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the ids that an answer to the last message continues. Raise UserError if there cannot be one."""
        check_messages(messages, "user")
        rendered = Rendered(self._render, messages, self._marks)
        parts = rendered.parts(rendered.question(len(messages)), rendered.starts(len(messages)))
        return [*self._begin, *(id for ids in self._marks.encode(parts) for id in ids.tolist())]

    def encode(self, messages: Sequence[Message]) -> list[Sample]:
        """Return the conversation as a sample with loss on all answers, or one for each answer with loss on that alone.

        The latter if the template writes an answer in another way once the conversation goes on: without its thought,
        or without its end. Up to an answer in the loss, a sample has the ids of `prompt`. Raise UserError if the
        conversation is out of order, or the template is not one whose answers can be found.
        """
        [found] = self.encode_batch([messages])
        if isinstance(found, UserError):
            raise found
        return found

    def encode_batch(self, conversations: Sequence[Sequence[Message]]) -> list[list[Sample] | UserError]:
        """Return what `encode` returns of each conversation, or raises; many at once take far less time."""
        found = [self._tried(messages) for messages in conversations]
        drafts = [draft for each in found if not isinstance(each, UserError) for draft in each]
        ids = iter(self._marks.encode([part for draft in drafts for part in draft.parts]))
        samples = iter([self._sample(draft, [next(ids) for _ in draft.parts]) for draft in drafts])
        return [each if isinstance(each, UserError) else [next(samples) for _ in each] for each in found]

    def encode_last(self, messages: Sequence[Message]) -> Sample:
        """Return the sample of the last answer alone. Raise UserError as `encode` does."""
        check_messages(messages, "assistant")
        rendered = Rendered(self._render, messages, self._marks)
        turn = rendered.answers[-1]
        draft = _draft(rendered, rendered.answered(turn), [self._span(rendered, turn)], rendered.starts(turn))
        return self._sample(draft, self._marks.encode(draft.parts))

    def _tried(self, messages: Sequence[Message]) -> list[_Draft] | UserError:
        try:
            return self._drafts(messages)
        except UserError as error:
            return error.with_traceback(None)  # which would keep the conversation

    def _drafts(self, messages: Sequence[Message]) -> list[_Draft]:
        check_messages(messages, "assistant")
        check_answers(messages)
        rendered = Rendered(self._render, messages, self._marks)
        whole = rendered.answered(len(messages) - 1)
        if (spans := rendered.spans(whole)) is not None:
            return [_draft(rendered, whole, spans)]
        if len(rendered.answers) > MOST_ANSWERS:
            raise UserError(
                f"chat template {self.name} writes turns in another way as a conversation goes on, and can then be "
                f"trained on {MOST_ANSWERS} answers of one, not {len(rendered.answers)}; split the conversation"
            )
        of_turns = {turn: self._span(rendered, turn) for turn in rendered.answers}
        if all(whole.startswith(rendered.answered(turn)) for turn in of_turns):
            return [_draft(rendered, whole, list(of_turns.values()))]
        return [
            _draft(rendered, rendered.answered(turn), [span], rendered.starts(turn)) for turn, span in of_turns.items()
        ]

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """Return the id that ends an answer. Raise UserError if the template writes none."""
        question, answer = ({"role": role, "content": "1"} for role in ("user", "assistant"))
        (sample,) = self.encode([question, answer])
        inside = sample.ids_T[sample.mask_T].tolist()
        first = len(inside) - 1  # of the special ids at the end: a template may write two
        while first and inside[first - 1] in self._specials:
            first -= 1
        return (inside[first],)

    def _span(self, rendered: Rendered, turn: int) -> tuple[int, int]:
        """Return (start, end) of an answer in the rendering up to it. Raise UserError if it cannot be told."""
        question, answered = rendered.question(turn), rendered.answered(turn)
        if not answered.startswith(question):
            raise UserError(
                f"chat template {self.name}: with the answer of message {turn + 1} the text no longer begins with the "
                "prompt for it, so what the model would be asked differs from what it is trained on; "
                "ChatConfig.template and .thinking name others"
            )
        end = rendered.hiding.end(answered[len(question) :])
        if end is None:
            raise UserError(
                f"chat template {self.name}: no special token of this tokenizer ends the answer of message {turn + 1}, "
                "so generation would not know where to stop; use another tokenizer, or ChatConfig.template"
            )
        if not rendered.hiding.plain(answered[len(question) : len(question) + end]).strip():
            raise UserError(
                f"chat template {self.name} leaves out the text of the answer of message {turn + 1}, so there would be "
                "nothing but its end in the loss (empty mask); ChatConfig.template names others"
            )
        return len(question), len(question) + end

    def _sample(self, draft: _Draft, ids: Sequence[np.ndarray]) -> Sample:
        """Return the sample of a draft. ids: of its parts."""
        sizes = [len(self._begin), *map(len, ids)]
        begin = np.array(self._begin, np.int32)
        return Sample(np.concatenate([begin, *ids]), np.repeat([False, *draft.inside], sizes))


def _draft(rendered: Rendered, text: str, spans: Sequence[tuple[int, int]], starts: Sequence[int] = ()) -> _Draft:
    """Return a text with loss on the spans. starts: of other answers."""
    cuts = {*starts, *(place for span in spans for place in span)}
    stops = dict(spans)
    draft, inside_to = _Draft([], []), 0
    for start, end in between(cuts, text):
        inside_to = stops.get(start, inside_to)
        parts = rendered.hiding.parts(text[start:end])
        draft.parts.extend(parts)
        draft.inside.extend([start < inside_to] * len(parts))
    return draft
