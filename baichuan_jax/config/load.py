"""The gin edge: read config files and overrides into a root dataclass, with the origin of each value.

Gin's own parser reads the text, so the syntax is gin's: `Section.field = literal`, blocks, macros (`DIM = 256`, used
as `%DIM`) and `include 'file.gin'`. Gin's global registry is not used: one load leaves nothing behind for the next.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gin import config_parser

from baichuan_jax.config.bind import Macro, Statement, bind
from baichuan_jax.config.files import display, find_config, find_file
from baichuan_jax.config.literal import gin_text
from baichuan_jax.core.errors import UserError


@dataclass(frozen=True)
class Loaded:
    """A config and the origin of every value of it.

    config: an instance of the root. origins: {"TrainConfig.steps": "configs/base.gin:12", "--set" or "default"}.
    """

    config: Any
    origins: dict[str, str]

    @property
    def text(self) -> str:
        """Gin text that binds every field and loads to an equal config."""
        return gin_text(self.config)


def load(path: Path | str | None, overrides: Sequence[str], root: type) -> Loaded:
    """Read a config file, if there is one, then overrides ("TrainConfig.steps=300"), into the dataclass `root`.

    path: or the name of a shipped config: "quickstart".

    Fields of `root` are scalars, or sections: dataclasses with themselves as default_factory.
    """
    statements = _read(find_config(str(path))) if path else []
    return Loaded(*bind(root, [*statements, *map(_override, overrides)]))


def _read(path: Path, cited: str = "", including: tuple[Path, ...] = ()) -> list[Statement]:
    """Return the statements of a file and of those it includes, in order.

    cited: "file:line: " of the include. including: the files that lead here.
    """
    chain = (*including, path)
    if path in including:
        raise UserError(f"{cited}include cycle: {' -> '.join(map(display, chain))}")
    found = []
    for statement in _parse(_text(path, cited), display(path)):
        where = f"{display(path)}:{statement.location.line_num}"
        match statement:
            case config_parser.IncludeStatement(filename):
                found += _read(find_file(filename, path, f"{where}: "), f"{where}: ", chain)
            case config_parser.ImportStatement():
                raise UserError(f"{where}: a config file may not import ({statement.format()!r}); remove the line")
            case config_parser.BindingStatement(scope, section, field, value):
                found.append(_statement(scope, section, field, value, where))
    return found


def _statement(scope: str, section: str, field: str, value: Any, where: str) -> Statement:
    if scope:
        name = f"{section}.{field}" if field else section
        raise UserError(f"{where}: gin scopes ({scope + '/'!r}) are not supported; bind {name} itself")
    return Statement(section, field, value, where)


def _override(text: str) -> Statement:
    """Read "Section.field=value"; a value that is no literal is a string."""
    name, equals, value = (part.strip() for part in text.partition("="))
    where = f"--set {text}"
    if not (equals and re.fullmatch(r"[\w./]+", name)):
        raise UserError(f"{where}: expected Section.field=value, as in --set TrainConfig.steps=300")
    try:
        parsed = list(config_parser.ConfigParser(f"value = {value}\n", _Delegate()))
    except _SYNTAX_ERRORS:
        parsed = []
    if len(parsed) == 1:
        value = parsed[0].value
    return _statement(*config_parser.parse_binding_key(name), value, where)


class _Delegate(config_parser.ParserDelegate):
    """Callbacks of gin's parser for %macros and @references."""

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> None:
        raise SyntaxError(f"gin references (@{scoped_configurable_name}) are not supported; write a literal")


# TypeError: gin builds dicts as it parses, so a list as key fails there.
_SYNTAX_ERRORS = (SyntaxError, tokenize.TokenError, TypeError)


def _parse(text: str, name: str) -> list[Any]:
    """Return gin's statements; a syntax error becomes one line that names the file and the line."""
    try:
        parser = config_parser.ConfigParser(text, _Delegate())
        return list(parser)
    except _SYNTAX_ERRORS as error:
        if isinstance(error, tokenize.TokenError):
            message, (line, _) = error.args
        else:
            message, line = error.args[0], getattr(error, "lineno", None) or parser.current_token.start[0]
        content = [*text.split("\n"), ""][line - 1].strip()
        message = message.splitlines()[-1].strip().rstrip(".")
        hint = "; strings need quotes" if message.startswith("Failed to parse token") else ""
        raise UserError(
            f"{name}:{line}: cannot read {repr(content) if content else 'the end'}: {message}{hint}"
        ) from None


def _text(path: Path, cited: str) -> str:
    if path.is_dir():
        inside = ", ".join(sorted(file.name for file in path.glob("*.gin"))) or "none"
        raise UserError(f"{cited}{display(path)} is a directory; choose a .gin file in it: {inside}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{cited}{display(path)}:{line}: not UTF-8 ({error.reason}); save the file as UTF-8") from None
