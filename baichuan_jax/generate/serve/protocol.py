"""OpenAI's completions protocol: what a request may say, and the form of answers and errors.

https://platform.openai.com/docs/api-reference/completions, with `top_k` and `repetition_penalty` beside its own fields.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.generate.config import SampleConfig

LARGEST = 2**31 - 1  # integers go into int32
MOST_STOPS = 16
# Fields of OpenAI's that we do not have; the value that asks for nothing may stand there.
NEUTRAL = {
    "best_of": 1,
    "echo": False,
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": None,
    "presence_penalty": 0,
    "suffix": None,
}
NUMBERS = ("temperature", "top_p", "repetition_penalty")
INTEGERS = ("max_tokens", "top_k", "seed", "n")
OTHERS = ("model", "prompt", "stop", "stream", "stream_options", "user")


class ProtocolError(Exception):
    """What is answered instead of a completion. param: the field that is wrong."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None):
        super().__init__(message)
        self.status, self.param, self.code = status, param, code

    def body(self) -> dict[str, Any]:
        """Returns the answer in OpenAI's form."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class Query:
    """A request for n continuations of each prompt. sample: their settings, each with a seed one higher.

    longest: whether they may be as long as fits, up to sample.max_tokens. usage: whether a stream ends with counts.
    """

    prompts: tuple[str, ...]
    n: int
    sample: SampleConfig
    longest: bool
    stream: bool
    usage: bool


def parse(body: bytes, model: str, default: SampleConfig, seed: int) -> Query:
    """Reads a request. What it does not say is as in `default`, and its seed is `seed`. Raises ProtocolError."""
    fields = _object(body)
    known = (*NUMBERS, *INTEGERS, *OTHERS, *NEUTRAL)
    for name in fields:
        if name not in known:
            _refuse(name, f"there is no field {name!r}{did_you_mean(name, known)}")
    for name, value in NEUTRAL.items():
        if fields.get(name) not in (None, value):
            _refuse(name, f"{name} is not supported here; leave it out")
    fields = {name: value for name, value in fields.items() if value is not None}
    if fields.get("model", model) != model:
        raise ProtocolError(404, f"there is no model {fields['model']!r}; this one is {model!r}", "model", "not_found")
    options = _typed(fields, "stream_options", dict, "an object", {})
    return Query(
        prompts=_texts(fields, "prompt", LARGEST),
        n=_integer(fields, "n", 1),
        sample=_sample(fields, default, seed),
        longest="max_tokens" not in fields,
        stream=_typed(fields, "stream", bool, "true or false", False),
        usage=_typed(options, "include_usage", bool, "true or false", False),
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body.decode(), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise ProtocolError(400, f"the body is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ProtocolError(400, "the body is not a request: it is nested too deeply") from None
    except ValueError as error:
        raise ProtocolError(400, f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ProtocolError(400, 'the body is not an object, as {"prompt": "..."} is one')
    return fields


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _sample(fields: dict[str, Any], default: SampleConfig, seed: int) -> SampleConfig:
    given: dict[str, Any] = {"prompts": (), "seed": seed}
    given |= {name: _number(fields, name) for name in NUMBERS if name in fields}
    given |= {name: _integer(fields, name, 0) for name in INTEGERS if name in fields and name != "n"}
    if "stop" in fields:
        given["stop"] = _texts(fields, "stop", MOST_STOPS) if fields["stop"] else ()
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


def _integer(fields: dict[str, Any], name: str, least: int) -> int:
    value = fields.get(name, least)
    top = math.inf if name == "seed" else LARGEST
    if type(value) is not int or not (name == "seed" or least <= value <= top):
        _refuse(name, f"{name} = {_short(value)}: expected an integer, {least} or more")
    return value


def _number(fields: dict[str, Any], name: str) -> float:
    value = fields[name]
    if type(value) not in (int, float) or abs(value) > LARGEST:
        _refuse(name, f"{name} = {_short(value)}: expected a number")
    return float(value)


def _texts(fields: dict[str, Any], name: str, most: int) -> tuple[str, ...]:
    value = fields.get(name)
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        _refuse(name, f"{name} = {_short(value)}: expected a text or a list of texts")
    if len(texts) > most:
        _refuse(name, f"{name}: expected at most {most} texts, not {len(texts)}")
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            _refuse(name, f"{name}: half a surrogate pair at character {error.start}; that is no character")
    return tuple(texts)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:57]}..."


def completion(head: dict[str, Any], choices: list[dict[str, Any]], usage: dict[str, int] | None) -> dict[str, Any]:
    """Returns a whole answer, or one piece of a stream."""
    body = {**head, "object": "text_completion", "choices": choices}
    return body if usage is None else {**body, "usage": usage}


def choice(index: int, text: str, done: str) -> dict[str, Any]:
    """Returns one continuation. done: "stop", "length", or "" where there is more to come."""
    return {"index": index, "text": text, "logprobs": None, "finish_reason": done or None}


def usage(prompt: int, made: int) -> dict[str, int]:
    """Returns the counts of tokens."""
    return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}
