"""OpenAI's chat completions: the fields of requests, and the form of answers.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from typing import Any

from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.serve.protocol import (
    NUMBERS,
    Conversation,
    Form,
    ProtocolError,
    Query,
    query_of,
    read_fields,
)

FIELDS = (
    *("model", "messages", "stop", "stream", "stream_options", "user"),
    *("max_tokens", "max_completion_tokens", "top_k", "seed", "n"),
)
# Fields of OpenAI's that are not supported, and the neutral value that is accepted.
NEUTRAL = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "tool_choice": "none",
    "tools": [],
}


def parse_chat(body: bytes, model: str, default: SampleConfig, seed: int) -> Query:
    """Parse a request; absent fields come from `default` and `seed`. Raise ProtocolError on an invalid one."""
    fields = read_fields(body, model, (*NUMBERS, *FIELDS), NEUTRAL)
    if "max_completion_tokens" in fields:  # the newer name
        fields["max_tokens"] = fields.pop("max_completion_tokens")
    if fields.get("max_tokens") == 0:
        raise ProtocolError(400, "max_tokens = 0: expected a positive integer", "max_tokens")
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ProtocolError(400, "messages: expected a list of one message or more", "messages")
    return query_of(fields, (Conversation(tuple(map(_message, messages))),), default, seed)


def _message(message: Any) -> Any:
    """Return a message without null fields, its content as one text if it comes in parts of text."""
    if not isinstance(message, dict):
        return message
    found = {name: value for name, value in message.items() if value is not None}
    parts = found.get("content")
    is_text = lambda part: isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    if isinstance(parts, list) and all(map(is_text, parts)):
        found["content"] = "".join(part["text"] for part in parts)
    return found


def answer(index: int, text: str, done: str, _: dict[str, Any] | None) -> dict[str, Any]:
    """Return a whole answer to a conversation. done: the finish reason, "stop" or "length"."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": done}


def delta(index: int, text: str, done: str) -> dict[str, Any]:
    """Return the next piece of an answer; the first, which is empty, has the role."""
    said: dict[str, Any] = {"content": text} if text or done else {"role": "assistant", "content": ""}
    return {"index": index, "delta": said, "logprobs": None, "finish_reason": done or None}


CHAT = Form("chatcmpl", parse_chat, "chat.completion", answer, "chat.completion.chunk", delta, begins=True)
