"""A row of an evaluation set: which of its strings are the question, its choices, its passage, its answer.

There is no standard for field names. A vocabulary holds the common ones; if none is known, the place of a string
decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["stem", "choices", "context", "extras", "ignored"]

# Prefixes of field names, without case, spaces and punctuation: "Question", "option_a", "选项A". The longest decides.
BEGINNINGS: dict[Role, str] = {
    "stem": "question problem query prompt stem instruction input goal sentence text content premise hypothesis claim "
    "turns utterance 题目 问题 题干 试题 提问 题面 題目 問題 題幹 試題 句子 文本 内容 选择题",
    "choices": "option choice ending candidate alternative distractor sol1 sol2 answerchoice answeroption 选项 選項 "
    "备选 備選 候选",
    "context": "passage context article story paragraph document background support ctx fact evidence material reading "
    "dialog 文章 材料 短文 原文 上下文 段落 背景 篇章",
    "extras": "answer label target gold solution explanation explain analysis rationale output response reference "
    "canonical correct incorrect best completion reason hint 答案 解析 解答 分析 正解 正确 点评 说明 解释",
    "ignored": "idx index year category subject subset level type source url link lang score split taskid entry "
    "keyword tag topic difficulty grade author license version domain uuid questionid questiontype questionnumber "
    "problemid problemtype 编号 序号 学科 科目 来源 年份 年级 难度 类型 类别 题型 分值 题号 知识点 关键词",
}
# Names that mean this only as a whole.
WHOLE: dict[Role, str] = {
    "stem": "q 问",
    "choices": "a b c d e f g h i j opa opb opc opd ope 甲 乙 丙 丁 戊",
    "extras": "答",
    "ignored": "id no number date name field task title qid uid",
}
PREFIXES = [(name, role) for role, names in BEGINNINGS.items() for name in names.split()]
EXACT = {name: role for role, names in WHOLE.items() for name in names.split()}
MARKS = re.compile(r"[\W_]+")
LETTER = re.compile(r"\s*\(?[A-Ja-jＡ-Ｊ]\)?\s*")  # the label of a choice
NUMBER = re.compile(r"\s*[-+]?\d*\s*")
HEADER_CHARACTERS = 40  # most characters of the name of a column


@dataclass(frozen=True)
class Row:
    """The strings of a row, in order.

    stem: the question. choices: the possible answers. context: the passage. extras: answers, solutions.
    """

    stem: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    @property
    def strings(self) -> int:
        return sum(map(len, (self.stem, self.choices, self.context, self.extras)))


def role_of(name: str) -> Role | None:
    """Return the role of a field of this name, or None if the name is not known."""
    key = MARKS.sub("", name).lower()
    if key in EXACT:
        return EXACT[key]
    fitting = [(len(beginning), role) for beginning, role in PREFIXES if key.startswith(beginning)]
    return max(fitting, default=(0, None))[1]


def rows_of(value: Any, context: tuple[str, ...] = ()) -> Iterator[Row]:
    """Yield the rows in a JSON value with any nesting.

    context: passages in the enclosing values, as of several questions on one passage.
    """
    if isinstance(value, str):
        if value.strip():
            yield Row(stem=(value,), context=context)
    elif isinstance(value, list):
        for part in value:
            yield from rows_of(part, context)
    elif isinstance(value, dict):
        inner = {name: part for name, part in value.items() if _holds_rows(name, part)}
        if inner:
            own = [(name, part) for name, part in value.items() if name not in inner]
            around = [text for name, part in own if role_of(name) in ("context", "stem") for text in _strings(part)]
            for part in inner.values():
                yield from rows_of(part, (*context, *around))
        elif length := _parallel(value):
            for number in range(length):
                yield _row({name: _pick(part, number, length) for name, part in value.items()}, context)
        elif any(role_of(name) or isinstance(part, str) for name, part in value.items()):
            yield _row(value, context)
        else:
            for part in value.values():
                yield from rows_of(part, context)


def table_rows(cells: Iterable[Sequence[str]]) -> Iterator[Row]:
    """Yield the rows of a table, with or without a header of known names."""
    header: Sequence[str] | None = None
    for number, row in enumerate(cells):
        if number == 0 and _is_header(row):
            header = row
        elif header is not None:
            named: dict[str, Any] = {}
            for name, cell in zip(header, row):
                named.setdefault(name, []).append(cell)
            yield _row(named, ())
        elif any(cell.strip() for cell in row):
            yield _by_place(row)


def _is_header(row: Sequence[str]) -> bool:
    roles = [role_of(cell) for cell in row if cell.strip()]
    short = all(len(cell) <= HEADER_CHARACTERS for cell in row)
    letters = sum(role == "choices" for role in roles) >= 3
    return short and 2 * sum(map(bool, roles)) > len(roles) and ("stem" in roles or "context" in roles or letters)


def _by_place(row: Sequence[str]) -> Row:
    """Return the row of unnamed cells: a number, the question, its choices, the letter of the answer, a solution."""
    cells = list(row)
    if len(cells) > 2 and NUMBER.fullmatch(cells[0]):
        cells = cells[1:]
    end = next((at for at in range(len(cells) - 1, 0, -1) if LETTER.fullmatch(cells[at])), len(cells))
    return Row((cells[0],), _filled(cells[1:end]), (), _filled(cells[end + 1 :]))


def _row(value: dict[str, Any], context: tuple[str, ...]) -> Row:
    """Return the row of named fields."""
    found: dict[Role | None, list[str]] = {"stem": [], "choices": [], "context": [*context], "extras": [], None: []}
    for name, part in value.items():
        _sort(name, part, None, found)
    if not found["stem"] and found[None]:
        texts = [text for part in value.values() if isinstance(part, str) for text in (part,) if text in found[None]]
        found["stem"] = texts or found[None]
        found["choices"] += [text for text in found[None] if text not in found["stem"]]
    elif not found["stem"] and not found["choices"]:
        instead = "context" if found["context"] else "extras"
        found["stem"], found[instead] = found[instead], []
    else:
        found["extras"] += found[None]
    return Row(*(_filled(found[part]) for part in ("stem", "choices", "context", "extras")))


def _sort(name: str, part: Any, outer: Role | None, found: dict[Role | None, list[str]]) -> None:
    """Assign the strings of a field to the role that its name, or that of the enclosing field, has."""
    role = outer if outer in ("choices", "extras") else role_of(name) or outer
    if role == "ignored":
        return
    if isinstance(part, dict):
        for inner, value in part.items():
            _sort(inner, value, role, found)
    elif isinstance(part, list):
        for value in part:
            _sort(name, value, role, found)
    elif isinstance(part, str):
        found["extras" if LETTER.fullmatch(part) else role].append(part)
    elif role == "choices" and isinstance(part, (int, float)) and not isinstance(part, bool):
        found[role].append(str(part))


def _holds_rows(name: str, part: Any) -> bool:
    """Return whether a field contains rows, as "example" in {"keywords": ..., "example": [{...}]}."""
    if not isinstance(part, (list, dict)) or role_of(name) in ("choices", "extras", "ignored"):
        return False
    if isinstance(part, dict) and role_of(name) != "stem":
        return _asks(part)
    values = part.values() if isinstance(part, dict) else part
    return any(isinstance(value, dict) and _asks(value) for value in values)


def _asks(value: dict[str, Any]) -> bool:
    return any((role_of(name) == "stem" and part) or _holds_rows(name, part) for name, part in value.items())


def _parallel(value: dict[str, Any]) -> int:
    """Return the number of rows stored as columns, {"questions": [2 strings], "options": [2 lists]}; 0 if none are."""
    columns = {name: part for name, part in value.items() if isinstance(part, list)}
    roles = {name: role_of(name) for name in columns}
    length = next((len(part) for name, part in columns.items() if roles[name] == "stem"), 0)
    choices = [part for name, part in columns.items() if roles[name] == "choices"]
    flat = len(choices) == 1 and not all(isinstance(part, (list, dict)) for part in choices[0])
    fits = length > 1 and len(columns) > 1 and all(len(part) == length for part in columns.values())
    return length if fits and not flat else 0


def _pick(part: Any, number: int, length: int) -> Any:
    return part[number] if isinstance(part, list) and len(part) == length else part


def _strings(value: Any) -> Iterator[str]:
    """Yield all strings in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _filled(cells: Iterable[str]) -> tuple[str, ...]:
    return tuple(cell for cell in cells if cell.strip())
