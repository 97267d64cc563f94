"""A chat template with a tokenizer: ids and loss masks of training, and prompts of generation, by one road."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from baichuan_jax.chat.conversation import check_answers, check_messages
from baichuan_jax.chat.jinja import Message
from baichuan_jax.chat.marks import Hiding, Marks, Part
from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.interface import AnyTokenizer

Render = Callable[[Sequence[Message], bool], str]


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
        rendered = _Rendered(self._render, messages, self._marks)
        text = rendered.question(len(messages))
        parts = rendered.parts(text, rendered.starts(text, len(messages)))
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

    def _tried(self, messages: Sequence[Message]) -> list[_Draft] | UserError:
        try:
            return self._drafts(messages)
        except UserError as error:
            return error.with_traceback(None)  # which would keep the conversation

    def _drafts(self, messages: Sequence[Message]) -> list[_Draft]:
        check_messages(messages, "assistant")
        check_answers(messages)
        rendered = _Rendered(self._render, messages, self._marks)
        whole = rendered.answered(len(messages) - 1)
        turns = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
        spans = {turn: self._span(rendered, turn) for turn in turns}
        if all(whole.startswith(rendered.answered(turn)) for turn in turns):
            return [_draft(rendered, whole, len(messages), list(spans.values()))]
        return [_draft(rendered, rendered.answered(turn), turn, [spans[turn]]) for turn in turns]

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

    def _span(self, rendered: _Rendered, turn: int) -> tuple[int, int]:
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
        return len(question), len(question) + end

    def _sample(self, draft: _Draft, ids: Sequence[np.ndarray]) -> Sample:
        """Return the sample of a draft. ids: of its parts."""
        sizes = [len(self._begin), *map(len, ids)]
        begin = np.array(self._begin, np.int32)
        return Sample(np.concatenate([begin, *ids]), np.repeat([False, *draft.inside], sizes))


def _draft(rendered: _Rendered, text: str, turn: int, spans: list[tuple[int, int]]) -> _Draft:
    """Return a text with loss on the spans. turn: number of messages before the last answer in question."""
    cuts = {*rendered.starts(text, turn), *(place for span in spans for place in span)}
    draft = _Draft([], [])
    for start, end in _between(cuts, text):
        parts = rendered.hiding.parts(text[start:end])
        draft.parts.extend(parts)
        draft.inside.extend([any(first <= start < last for first, last in spans)] * len(parts))
    return draft


class _Rendered:
    """Renderings of the beginnings of one conversation, each made once."""

    def __init__(self, render: Render, messages: Sequence[Message], marks: Marks):
        self.hiding: Hiding = marks.hiding(message["content"] for message in messages)
        self._messages = [{**message, "content": self.hiding.hide(message["content"])} for message in messages]
        self._render = render
        self._texts: dict[tuple[int, bool], str] = {}

    def question(self, count: int) -> str:
        """Return the first messages with the beginning of an answer."""
        return self._text(count, True)

    def answered(self, turn: int) -> str:
        """Return the messages up to the answer of a number."""
        return self._text(turn + 1, False)

    def _text(self, count: int, generate: bool) -> str:
        if (count, generate) not in self._texts:
            self._texts[count, generate] = self._render(self._messages[:count], generate)
        return self._texts[count, generate]

    def starts(self, text: str, count: int) -> list[int]:
        """Return where earlier answers begin in a text, among the first messages.

        An answer was generated after the ids of its prompt, so it is encoded apart from these ever after.
        """
        numbers = [number for number in range(count) if self._messages[number]["role"] == "assistant"]
        questions = (self.question(number) for number in numbers)
        return [len(question) for question in questions if text.startswith(question)]

    def parts(self, text: str, cuts: Sequence[int]) -> list[Part]:
        """Return a text in parts to be encoded apart."""
        return [part for start, end in _between(cuts, text) for part in self.hiding.parts(text[start:end])]


def _between(cuts: Sequence[int] | set[int], text: str) -> list[tuple[int, int]]:
    """Return the parts of a text between cuts, as (start, end)."""
    places = sorted({0, len(text), *cuts})
    return list(pairwise(places))
