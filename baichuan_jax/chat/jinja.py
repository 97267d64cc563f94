"""Chat templates rendered in Jinja's sandbox, by the conventions of transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jinja2 import TemplateError, UndefinedError
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

Message = Mapping[str, str]
NO_DATE = (
    "it writes today's date (strftime_now), with which the same conversation has other ids every day; write a fixed "
    "date in its place"
)


class Refusal(TemplateError):
    """A template calls `raise_exception`."""


class GenerationMarks(Extension):
    """Read `{% generation %}...{% endgeneration %}`, which some templates put around answers, as what is inside."""

    tags = {"generation"}  # noqa: RUF012 (the name and kind are Jinja's)

    def parse(self, parser: Parser) -> list[Node]:
        """Return the nodes between the two tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class JinjaTemplate:
    """A template with its variables. Raise jinja2.TemplateError, or whatever the template makes Python raise."""

    def __init__(self, text: str, variables: Mapping[str, Any]):
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", GenerationMarks]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _refuse
        self._template, self._variables = environment.from_string(text), variables

    def __call__(self, messages: Sequence[Message], generate: bool) -> str:
        """Return a conversation as text. generate: whether it ends with the beginning of an answer."""
        given = {"messages": list(messages), "tools": None, "documents": None, "add_generation_prompt": generate}
        return self._template.render(**given, **self._variables)


def reason(error: BaseException) -> str:
    """Return why a template could not be rendered, on one line."""
    if isinstance(error, Refusal):
        return f"it refuses the conversation ({error})"
    if isinstance(error, MemoryError):
        return "it needs too much memory"
    text = " ".join(str(error).split())[:200]
    return (
        NO_DATE if isinstance(error, UndefinedError) and "strftime_now" in text else f"{type(error).__name__}: {text}"
    )


def _refuse(message: Any) -> NoReturn:
    raise Refusal(" ".join(str(message).split())[:200])


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """Return JSON without the HTML escapes of Jinja's own filter."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
