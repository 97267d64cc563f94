"""Conversations as data: a list of {"role": ..., "content": ...}, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from baichuan_jax.chat.jinja import Message
from baichuan_jax.core.errors import UserError

ROLES = ("system", "user", "assistant")


class BadConversation(UserError):
    """A conversation that no template can write. reason: in a word, to count it by."""

    def __init__(self, message: str, reason: str):
        super().__init__(message)
        self.reason = reason


def check_messages(messages: Any, last: Literal["user", "assistant"]) -> None:
    """Raise BadConversation, naming the message, unless roles are in order and the last one is as given.

    A system message may come first; then user and assistant take turns. An answer at the end must not be empty.
    """
    if not isinstance(messages, Sequence) or not messages:
        raise BadConversation(f"messages = {messages!r}: expected a list of one message or more", "no_messages")
    before = ""
    for number, message in enumerate(messages, 1):
        where = f"message {number} of {len(messages)}"
        _check_fields(message, where)
        role, expected = message["role"], _next(before)
        if role not in expected:
            said = f"{where}: role {role!r}: expected {' or '.join(map(repr, expected))} here"
            raise BadConversation(said, "role_order")
        before = role
    if before != last:
        said = f"message {len(messages)}, the last, has role {before!r}: expected {last!r}"
        raise BadConversation(said, "role_order")


def check_answers(messages: Sequence[Message]) -> None:
    """Raise BadConversation, naming the message, if an answer is empty: training would learn to say nothing."""
    for number, message in enumerate(messages, 1):
        if message["role"] == "assistant" and not message["content"].strip():
            said = f"message {number} of {len(messages)}: the response is empty; drop this conversation"
            raise BadConversation(said, "empty_response")


def _next(before: str) -> tuple[str, ...]:
    """Return the roles that may follow one; "" is the beginning."""
    return {"": ("system", "user"), "system": ("user",), "user": ("assistant",), "assistant": ("user",)}[before]


def _check_fields(message: Any, where: str) -> None:
    if not isinstance(message, dict) or set(message) != {"role", "content"}:
        said = f"{where}: expected an object with role and content alone, not {_short(message)}"
        raise BadConversation(said, "not_a_message")
    role, content = message["role"], message["content"]
    if role not in ROLES:
        said = f"{where}: unknown role {_short(role)}; the roles are {', '.join(ROLES)}"
        raise BadConversation(said, "unknown_role")
    if not isinstance(content, str):
        raise BadConversation(f"{where}: content = {_short(content)}: expected a text", "not_text")
    try:
        content.encode()
    except UnicodeEncodeError as error:
        said = f"{where}: content has an unpaired surrogate at character {error.start}"
        raise BadConversation(said, "surrogate") from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
