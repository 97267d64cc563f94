"""Renderings of the beginnings of a conversation, and where answers begin and end in them.

A template may write a turn in another way once more follow, so what a model is asked is known only from rendering every
beginning that ends with a question: in time that grows with the square of their number. Most templates write each turn
by itself. Then renderings of two turns alone say what each adds, in linear time; that they add up to the rendering of
the whole shows that the template is such a one for this conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from baichuan_jax.chat.jinja import Message
from baichuan_jax.chat.marks import Hiding, Marks, Part
from baichuan_jax.core.errors import UserError

Render = Callable[[Sequence[Message], bool], str]
MOST_ANSWERS = 256  # of a conversation of which every beginning is rendered


class Rendered:
    """Renderings of one conversation, whose roles are in order. answers: the numbers of its answers, from 0."""

    def __init__(self, render: Render, messages: Sequence[Message], marks: Marks):
        self.hiding: Hiding = marks.hiding(message["content"] for message in messages)
        self.answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
        self._messages = [{**message, "content": self.hiding.hide(message["content"])} for message in messages]
        self._render = render
        self._texts: dict[tuple[int, int, bool], str] = {}

    def question(self, count: int) -> str:
        """Return the first messages with the beginning of an answer."""
        return self._text(0, count, True)

    def answered(self, turn: int) -> str:
        """Return the messages up to the answer of a number."""
        return self._text(0, turn + 1, False)

    def _text(self, first: int, end: int, generate: bool) -> str:
        if (first, end, generate) not in self._texts:
            self._texts[first, end, generate] = self._render(self._messages[first:end], generate)
        return self._texts[first, end, generate]

    def starts(self, count: int) -> list[int]:
        """Return where earlier answers begin in the prompt of the first messages. Raise UserError if it takes too long.

        An answer was generated after the ids of its prompt, so it is encoded apart from these ever after.
        """
        answers, prompt = [number for number in self.answers if number < count], self.question(count)
        if not answers:
            return []
        try:
            starts = self._starts_by_turns(answers, prompt)
        except UserError:  # the template refuses a turn without those before it
            starts = None
        if starts is not None:
            return starts
        if len(answers) > MOST_ANSWERS:
            raise UserError(
                "the chat template writes turns in another way as a conversation goes on, and can then continue one "
                f"of {MOST_ANSWERS} answers, not {len(answers)}; leave out the oldest turns"
            )
        return [len(question) for question in map(self.question, answers) if prompt.startswith(question)]

    def _starts_by_turns(self, answers: Sequence[int], prompt: str) -> list[int] | None:
        """Return `starts` from what each turn adds to a prompt; None if that does not add up to the prompt."""
        starts, written, before, added = [], [], 0, self.question(answers[0])
        for number in answers:
            asked, asked_next = self._turn(number, number, True), self._turn(number, number + 2, True)
            shared = len(asked) if asked_next.startswith(asked) else _shared(asked, asked_next)
            lost = len(asked) - shared  # of the beginning of an answer, once that is there
            if lost > len(added):
                return None
            if not lost:
                starts.append(before + len(added))
            written.append(added[: len(added) - lost])
            before, added = before + len(added) - lost, asked_next[shared:]
        return starts if "".join([*written, added]) == prompt else None

    def spans(self, whole: str) -> list[tuple[int, int]] | None:
        """Return (start, end) of each answer in the whole conversation, from what each turn adds to it.

        None if that does not add up to it, or if an answer has not its prompt before it, text in it, and its end.
        """
        try:
            return self._spans_by_turns(whole)
        except UserError:  # the template refuses a turn without those before it
            return None

    def _spans_by_turns(self, whole: str) -> list[tuple[int, int]] | None:
        written = [self.question(self.answers[0])]
        spans, start = [], len(written[0])
        for number in self.answers:
            asked, answered = self._turn(number, number, True), self._turn(number, number + 1, False)
            last = number == self.answers[-1]
            following = answered if last else self._turn(number, number + 2, True)
            added = answered[len(asked) :]
            end = self.hiding.end(added)
            if not (end and self.hiding.plain(added[:end]).strip()):
                return None
            if not (answered.startswith(asked) and following.startswith(answered)):
                return None
            spans.append((start, start + end))
            written.append(following[len(asked) :])
            start += len(written[-1])
        return spans if "".join(written) == whole else None

    def _turn(self, answer: int, end: int, generate: bool) -> str:
        """Return the messages from the question of an answer up to `end`, as if they were all.

        The first turn has the system message.
        """
        return self._text(0 if answer == self.answers[0] else answer - 1, end, generate)

    def parts(self, text: str, cuts: Sequence[int]) -> list[Part]:
        """Return a text in parts to be encoded apart."""
        return [part for start, end in between(cuts, text) for part in self.hiding.parts(text[start:end])]


def between(cuts: Iterable[int], text: str) -> list[tuple[int, int]]:
    """Return the parts of a text between cuts, as (start, end)."""
    return list(pairwise(sorted({0, len(text), *cuts})))


def _shared(text: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    return next((place for place, (one, two) in enumerate(zip(text, other)) if one != two), min(len(text), len(other)))
