"""Build a root dataclass of sections from statements: `Section.field = value`, read from files and --set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from baichuan_jax.config.typecheck import Mismatch, convert
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.renamed import RENAMED
from baichuan_jax.core.suggest import did_you_mean, nearest

type_hints = cache(get_type_hints)  # evaluating annotations takes most of the time to bind a config


@dataclass(frozen=True)
class Macro:
    """A use of the macro `name` in a value: %name."""

    name: str


@dataclass(frozen=True)
class Statement:
    """`section.field = value`, or the macro `section = value` if `field` is empty.

    where: "configs/base.gin:12" or "--set TrainConfig.steps=300".
    """

    section: str
    field: str
    value: Any
    where: str

    @property
    def name(self) -> str:
        return f"{self.section}.{self.field}" if self.field else self.section

    @property
    def origin(self) -> str:
        return "--set" if self.where.startswith("--set ") else self.where


def bind(root: type, statements: Sequence[Statement]) -> tuple[Any, dict[str, str]]:
    """Build `root` with its sections; return it and the origin of every "Section.field".

    The last statement on a field or macro wins; macros are expanded afterwards, as gin does.
    """
    classes = _classes(root)
    bound = {}
    for statement in statements:
        if statement.field:
            _check_name(statement, classes)
        bound[statement.name] = statement
    macros = {name: statement for name, statement in bound.items() if not statement.field}
    _check_macros_used(statements, macros, classes)

    values, origins, where = {cls: {} for cls in classes}, {}, {}
    for name, annotation, default in _schema(classes):
        section, field = name.split(".")
        value, origins[name] = default, "default"
        if name in bound:
            value, via = _expand(bound[name], macros)
            origins[name], where[name] = bound[name].origin + via, bound[name].where + via
        values[section][field] = _checked(name, value, annotation, where.get(name, "default"))

    def make(cls: type) -> Any:
        return cls(**values[cls.__name__], **{name: make(inner) for name, inner in _sections(cls).items()})

    try:
        return make(root), origins
    except UserError as error:
        raise UserError(f"{error}{_where_set(str(error), where)}") from None


def _classes(root: type) -> dict[str, type]:
    """Return {name: dataclass} of the root, its sections, and theirs."""
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop(0))
        waiting = [*_sections(found[-1]).values(), *waiting]
    names = [cls.__name__ for cls in found]
    if len(names) != len(set(names)):
        raise TypeError(f"the sections of {root.__name__} must be classes of different names, not {names}")
    return dict(zip(names, found))


def _sections(root: type) -> dict[str, type]:
    """Return {attribute of root: dataclass of its section}."""
    found = {name: cls for name, cls in type_hints(root).items() if is_dataclass(cls)}
    for field in fields(root):
        cls = found.get(field.name)
        if cls and field.default_factory is not cls:
            raise TypeError(
                f"{root.__name__}.{field.name} needs default_factory={cls.__name__}, which owns its defaults"
            )
    return found


def _schema(classes: dict[str, type]) -> Iterable[tuple[str, Any, Any]]:
    """Yield ("Section.field", annotation, default or MISSING) of every field that may be bound."""
    for name, cls in classes.items():
        hints = type_hints(cls)
        for field in fields(cls):
            if field.init and not is_dataclass(hints[field.name]):
                default = field.default if field.default_factory is MISSING else field.default_factory()
                yield f"{name}.{field.name}", hints[field.name], default


def _field_names(cls: type) -> list[str]:
    return [field.name for field in fields(cls) if field.init]


def _check_name(statement: Statement, classes: dict[str, type]) -> None:
    section, field, where = statement.section, statement.field, statement.where
    if section not in classes:
        guess = did_you_mean(section, classes) or "."
        raise UserError(f"{where}: there is no section {section!r}{guess} Sections: {', '.join(classes)}")
    names = _field_names(classes[section])
    if statement.name in RENAMED:
        raise UserError(f"{where}: {statement.name} was renamed to {RENAMED[statement.name]}; use the new name")
    if field not in names:
        others = [f"{name}.{field}" for name, cls in classes.items() if field in _field_names(cls)]
        guess = f"; did you mean {' or '.join(others)}?" if others else did_you_mean(field, names) or "."
        raise UserError(f"{where}: {section} has no field {field!r}{guess} Its fields: {', '.join(names)}")
    annotation = type_hints(classes[section])[field]
    if is_dataclass(annotation):
        example = _field_names(annotation)[0]
        raise UserError(
            f"{where}: {section}.{field} is a section; bind its fields, as in {annotation.__name__}.{example} = ..."
        )


def _check_macros_used(statements: Sequence[Statement], macros: dict[str, Statement], classes: dict[str, type]) -> None:
    """Refuse a macro that nothing uses: it is a mistyped macro, or a field without its section."""
    used: set[str] = set()
    for statement in statements:
        _replace_macros(statement.value, used.add)
    for name in [name for name in macros if name not in used]:
        fits = [f"{section}.{name}" for section, cls in classes.items() if name in _field_names(cls)]
        guess = nearest(name, used)
        options = fits or ([f"the macro {guess!r}"] if guess else [])
        hint = f"; did you mean {' or '.join(options)}?" if options else "; a field is bound as Section.field = value"
        raise UserError(f"{macros[name].where}: the macro {name!r} is never used{hint}")


def _replace_macros(value: Any, expand: Callable[[str], Any]) -> Any:
    """Return `value` with `expand(name)` in place of every macro inside it."""
    match value:
        case Macro(name):
            return expand(name)
        case list() | tuple():
            return type(value)(_replace_macros(item, expand) for item in value)
        case dict():
            return {_replace_macros(k, expand): _replace_macros(v, expand) for k, v in value.items()}
    return value


def _expand(statement: Statement, macros: dict[str, Statement]) -> tuple[Any, str]:
    """Return the statement's value with macros expanded, and " via %NAME at file:line" for each of them."""
    via = []
    active = []

    def expand(name: str) -> Any:
        if name not in macros:
            raise UserError(f"{statement.where}: there is no macro {name!r}{did_you_mean(name, macros)}")
        if name in active:
            raise UserError(f"{macros[name].where}: macro cycle: {' -> '.join(f'%{each}' for each in [*active, name])}")
        via.append(f" via %{name} at {macros[name].where}")
        active.append(name)
        value = _replace_macros(macros[name].value, expand)
        active.pop()
        return value

    return _replace_macros(statement.value, expand), "".join(dict.fromkeys(via))


def _checked(name: str, value: Any, annotation: Any, where: str) -> Any:
    if value is MISSING:
        raise UserError(f"{name} has no value: bind it in the config file, or give --set {name}=...")
    try:
        return convert(value, annotation)
    except Mismatch as mismatch:
        raise UserError(f"{name} = {value!r} ({where}): {mismatch}") from None


def _where_set(message: str, where: dict[str, str]) -> str:
    """Return " (TrainConfig.steps: configs/base.gin:12)" for the bound fields that an error message names."""
    named = [name for name in dict.fromkeys(re.findall(r"\b\w+\.\w+\b", message)) if name in where]
    return f" ({', '.join(f'{name}: {where[name]}' for name in named)})" if named else ""
