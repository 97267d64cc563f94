"""Conversations as data: a list of {"role": ..., "content": ...}, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from baichuan_jax.chat.jinja import Message
from baichuan_jax.core.errors import UserError

ROLES = ("system", "user", "assistant")


def check_messages(messages: Any, last: Literal["user", "assistant"]) -> None:
    """Raise UserError, naming the message, unless roles are in order and the last one is as given.

    A system message may come first; then user and assistant take turns. An answer at the end must not be empty.
    """
    if not isinstance(messages, Sequence) or not messages:
        raise UserError(f"messages = {messages!r}: expected a list of one message or more")
    before = ""
    for number, message in enumerate(messages, 1):
        where = f"message {number} of {len(messages)}"
        _check_fields(message, where)
        role, expected = message["role"], _next(before)
        if role not in expected:
            raise UserError(f"{where}: role {role!r}: expected {' or '.join(map(repr, expected))} here")
        before = role
    if before != last:
        raise UserError(f"message {len(messages)}, the last, has role {before!r}: expected {last!r}")


def check_answers(messages: Sequence[Message]) -> None:
    """Raise UserError, naming the message, if an answer is empty: training would learn to say nothing."""
    for number, message in enumerate(messages, 1):
        if message["role"] == "assistant" and not message["content"].strip():
            raise UserError(f"message {number} of {len(messages)}: the response is empty; drop this conversation")


def _next(before: str) -> tuple[str, ...]:
    """Return the roles that may follow one; "" is the beginning."""
    return {"": ("system", "user"), "system": ("user",), "user": ("assistant",), "assistant": ("user",)}[before]


def _check_fields(message: Any, where: str) -> None:
    if not isinstance(message, dict) or set(message) != {"role", "content"}:
        raise UserError(f"{where}: expected an object with role and content alone, not {_short(message)}")
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise UserError(f"{where}: unknown role {_short(role)}; the roles are {', '.join(ROLES)}")
    if not isinstance(content, str):
        raise UserError(f"{where}: content = {_short(content)}: expected a text")
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: content has an unpaired surrogate at character {error.start}") from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
