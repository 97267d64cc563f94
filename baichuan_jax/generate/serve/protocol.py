"""OpenAI's completions protocol: the fields of requests, and the form of answers and errors.

https://platform.openai.com/docs/api-reference/completions, extended by `top_k` and `repetition_penalty`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.programs import MOST_PROBABLE

LARGEST = 2**31 - 1  # integers go into int32
MOST_STOPS = 16
# Fields of OpenAI's that are not supported, and the neutral value that is accepted.
NEUTRAL = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "presence_penalty": 0,
    "suffix": None,
}
NUMBERS = ("temperature", "top_p", "repetition_penalty")
INTEGERS = ("max_tokens", "top_k", "seed", "n", "best_of", "logprobs")
OTHERS = ("model", "prompt", "stop", "stream", "stream_options", "echo", "user")


class ProtocolError(Exception):
    """An error answer. param: the invalid field."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None):
        super().__init__(message)
        self.status, self.param, self.code = status, param, code

    def body(self) -> dict[str, Any]:
        """Return the answer in OpenAI's form. Unpaired surrogates, which a request may have, are written as escapes."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        param = None if self.param is None else _escaped(self.param)
        return {"error": {"message": _escaped(str(self)), "type": kind, "param": param, "code": self.code}}


@dataclass(frozen=True)
class Conversation:
    """Messages of a chat, of which nothing has been checked."""

    messages: tuple[Any, ...]


@dataclass(frozen=True)
class Query:
    """A request for n continuations of each prompt: a text, token ids, or a conversation.

    sample: settings of the first continuation; continuation i adds i to the seed. longest: no max_tokens was given, so
    a continuation is limited by the context too. written: False for "max_tokens": 0, which generates nothing. usage:
    whether a stream ends with token counts. echo: whether the answer begins with the prompt. logprobs: number of most
    probable tokens reported at each position; None reports no log-probabilities.
    """

    prompts: tuple[str | tuple[int, ...] | Conversation, ...]
    n: int
    sample: SampleConfig
    longest: bool
    written: bool = True
    stream: bool = False
    usage: bool = False
    echo: bool = False
    logprobs: int | None = None


def parse(body: bytes, model: str, default: SampleConfig, seed: int) -> Query:
    """Parse a request; absent fields come from `default` and `seed`. Raise ProtocolError on an invalid one."""
    fields = read_fields(body, model, (*NUMBERS, *INTEGERS, *OTHERS), NEUTRAL)
    query = replace(
        query_of(fields, _prompts(fields), default, seed),
        written=fields.get("max_tokens") != 0,
        echo=_flag(fields, "echo"),
        logprobs=_integer(fields, "logprobs", 0, MOST_PROBABLE) if "logprobs" in fields else None,
    )
    if "best_of" in fields and _integer(fields, "best_of", 1) != query.n:
        _refuse("best_of", f"best_of = {fields['best_of']}: expected n = {query.n}; all continuations are returned")
    if query.stream and query.logprobs is not None:
        _refuse("logprobs", "logprobs are not available in a stream; leave out logprobs or stream")
    return query


def read_fields(body: bytes, model: str, names: Sequence[str], neutral: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a body that are not null. Raise ProtocolError on an unknown one, or on another model.

    neutral: fields that are accepted with one value alone, which changes nothing.
    """
    fields, known = _object(body), (*names, *neutral)
    for name in fields:
        if name not in known:
            _refuse(name, f"unknown field {name!r}{did_you_mean(name, known)}")
    for name, value in neutral.items():
        if fields.get(name) not in (None, value):
            _refuse(name, f"{name} is not supported; leave it out")
    if fields.get("model") not in (None, model):
        raise no_model(fields["model"], model)
    return {name: value for name, value in fields.items() if value is not None}


def query_of(fields: dict[str, Any], prompts: tuple[Any, ...], default: SampleConfig, seed: int) -> Query:
    """Return the query of fields that all endpoints have."""
    options = _typed(fields, "stream_options", dict, "an object", {})
    return Query(
        prompts=prompts,
        n=_integer(fields, "n", 1),
        sample=_sample(fields, default, seed),
        longest="max_tokens" not in fields,
        stream=_flag(fields, "stream"),
        usage=_flag(options, "include_usage"),
    )


def no_model(asked: Any, model: str) -> ProtocolError:
    """Return the error for a request that names another model."""
    message = f"there is no model {asked!r}; this server has {model!r}"
    return ProtocolError(404, message, "model", "model_not_found")


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body.decode(), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise ProtocolError(400, f"the body is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ProtocolError(400, "the body is nested too deeply") from None
    except ValueError as error:
        raise ProtocolError(400, f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ProtocolError(400, 'the body is not a JSON object such as {"prompt": "..."}')
    return fields


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _sample(fields: dict[str, Any], default: SampleConfig, seed: int) -> SampleConfig:
    given: dict[str, Any] = {"prompts": (), "seed": seed}
    given |= {name: _number(fields, name) for name in NUMBERS if name in fields}
    given |= {name: _integer(fields, name, 0) for name in ("max_tokens", "top_k", "seed") if name in fields}
    if given.get("max_tokens") == 0:
        del given["max_tokens"]  # there is nothing to sample
    if "stop" in fields:
        given["stop"] = _texts(fields, "stop", MOST_STOPS) if fields["stop"] != [] else ()
    try:
        return replace(default, **given)
    except UserError as error:
        message = str(error).removeprefix("SampleConfig.")
        raise ProtocolError(400, message, message.split(" ")[0]) from None


def _refuse(name: str, message: str) -> NoReturn:
    raise ProtocolError(400, message, name)


def _typed(fields: dict[str, Any], name: str, kind: type, expected: str, default: Any) -> Any:
    value = fields.get(name, default)
    return value if type(value) is kind else _refuse(name, f"{name} = {_short(value)}: expected {expected}")


def _flag(fields: dict[str, Any], name: str) -> bool:
    return _typed(fields, name, bool, "true or false", False)


def _integer(fields: dict[str, Any], name: str, least: int, most: int = LARGEST) -> int:
    value = fields.get(name, least)
    if type(value) is not int or not (name == "seed" or least <= value <= most):
        bound = "or more" if most == LARGEST else f"to {most}"
        _refuse(name, f"{name} = {_short(value)}: expected an integer, {least} {bound}")
    return value


def _number(fields: dict[str, Any], name: str) -> float:
    value = fields[name]
    if type(value) not in (int, float) or abs(value) > LARGEST:
        _refuse(name, f"{name} = {_short(value)}: expected a number")
    return float(value)


def _texts(
    fields: dict[str, Any], name: str, most: int, expected: str = "a text or a list of texts"
) -> tuple[str, ...]:
    value = fields.get(name)
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        _refuse(name, f"{name} = {_short(value)}: expected {expected}")
    if len(texts) > most:
        _refuse(name, f"{name}: expected at most {most} texts, not {len(texts)}")
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            _refuse(name, f"{name}: unpaired surrogate at character {error.start}")
    return tuple(texts)


def _prompts(fields: dict[str, Any]) -> tuple[str | tuple[int, ...], ...]:
    """Return the prompts, texts or token ids. OpenAI allows four forms: one of either, or a list of either."""
    value = fields.get("prompt")
    if _are_ids(value):
        return (tuple(value),)
    if isinstance(value, list) and value and all(map(_are_ids, value)):
        return tuple(map(tuple, value))
    return _texts(fields, "prompt", LARGEST, "a text, token ids, or a list of texts or of lists of token ids")


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(id) is int for id in value)


def _escaped(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True)
class Form:
    """How an endpoint reads requests and writes answers.

    prefix: of the ids of answers. whole, event: the kind of object of an answer, and of an event of a stream. piece: a
    continuation in an event. begins: whether a stream begins with an empty piece of each continuation.
    """

    prefix: str
    parse: Callable[[bytes, str, SampleConfig, int], Query]
    whole: str
    choice: Callable[[int, str, str, dict[str, Any] | None], dict[str, Any]]
    event: str
    piece: Callable[[int, str, str], dict[str, Any]]
    begins: bool = False


def completion(
    head: dict[str, Any], kind: str, choices: list[dict[str, Any]], usage: dict[str, int] | None
) -> dict[str, Any]:
    """Return a whole answer, or one event of a stream."""
    body = {**head, "object": kind, "choices": choices}
    return body if usage is None else {**body, "usage": usage}


def choice(index: int, text: str, done: str, logprobs: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return one continuation. done: the finish reason, "stop" or "length"; "" if there is more to come."""
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": done or None}


def usage(prompt: int, made: int) -> dict[str, int]:
    """Return the counts of tokens."""
    return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}


TEXT = Form("cmpl", parse, "text_completion", choice, "text_completion", choice)
