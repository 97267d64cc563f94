"""Strings that a pattern's own parse tree makes to be slow to match, as attackers of regular expressions make them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from re import _constants as codes  # the parse tree has no public name
from re import _parser as parser
from typing import NamedTuple

LONG = 8  # repetitions that a part must allow for a text to be made of them
CANDIDATES = "aZ7 \n\t中。<>&;=/_-\u3000é!"  # of which a negated class takes the first it matches
CATEGORY = {
    codes.CATEGORY_DIGIT: "7",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_WORD: "w",
    codes.CATEGORY_NOT_DIGIT: "n",
    codes.CATEGORY_NOT_SPACE: "n",
    codes.CATEGORY_NOT_WORD: "-",
}
REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)


class Pump(NamedTuple):
    """What leads into a part of a pattern that repeats, one repetition of it, and a whole match beyond it."""

    prefix: str
    body: str
    rest: str


def pumps(pattern: re.Pattern, variants: int = 2) -> list[Pump]:
    """Return a pump for every part of a pattern that repeats, and one of no part: the whole match alone.

    Each is made `variants` times with other choices among alternatives and characters, the same at every call.
    """
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = parser.parse(text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags)
    found = {}
    for seed in range(variants):
        make = _Sampler(random.Random(seed))
        whole = make.match(tree)
        found[Pump("", whole, "")] = None
        for prefix, body in make.repeated(tree, ""):
            found[Pump(prefix, body, whole)] = None
    return list(found)


def shapes(pump: Pump) -> Iterator[Callable[[int], str]]:
    """Yield functions from a length to a text of about so many characters, each of which nearly matches very often."""
    prefix, body, rest = pump
    miss = "\x00"
    yield lambda size: prefix + body * (size // len(body)) + miss
    for part in dict.fromkeys((prefix + body, prefix, rest, rest[:-1] + miss if rest else "")):
        if part:
            yield lambda size, part=part: part * (size // len(part)) + miss
            yield lambda size, part=part: (part + "\n") * (size // (len(part) + 1))
    # Lines as long as those that are looked at.
    line = prefix + body * max(1, (390 - len(prefix)) // len(body)) + miss
    yield lambda size: (line + "\n") * (size // (len(line) + 1))


class _Sampler:
    """Makes matches of parts of a parse tree."""

    def __init__(self, choices: random.Random):
        self._choices = choices
        self._groups: dict[int, str] = {}

    def match(self, tree: Sequence) -> str:
        """Return a short match."""
        text = ""
        for node in tree:
            text = self._append(text, node)
        return text

    def repeated(self, tree: Sequence, before: str) -> Iterator[tuple[str, str]]:
        """Yield (a match of all before it, a match of one repetition) for each part that may repeat LONG times."""
        for op, value in tree:
            if op in REPEATS:
                _, most, inner = value
                body = self.match(inner)
                if most >= LONG and body:
                    yield before, body
                yield from self.repeated(inner, before)
            elif op is codes.BRANCH:
                for branch in value[1]:
                    yield from self.repeated(branch, before)
            elif inner := _inside(op, value):
                yield from self.repeated(inner, before)
            before = self._append(before, (op, value))

    def _append(self, text: str, node: tuple) -> str:
        op, value = node
        if op is codes.ASSERT:
            direction, inner = value
            found = self.match(inner)
            if direction > 0:
                return text + found
            return found[: max(0, len(found) - len(text))] + text
        if op is codes.AT:
            return f"{text} " if value is codes.AT_BOUNDARY and text[-1:].isalnum() else text
        return text + self._one(op, value)

    def _one(self, op: object, value: object) -> str:
        if op is codes.LITERAL:
            return chr(value)
        if op in (codes.NOT_LITERAL, codes.ANY):
            return next(mark for mark in CANDIDATES if mark != "\n" and ord(mark) != value)
        if op is codes.IN:
            return self._member(value)
        if op is codes.BRANCH:
            return self.match(self._choices.choice(value[1]))
        if op in REPEATS:
            least, most, inner = value
            return "".join(self.match(inner) for _ in range(max(least, min(most, self._choices.randint(0, 1)))))
        if op is codes.GROUPREF:
            return self._groups.get(value, "")
        if op is codes.SUBPATTERN:
            found = self.match(value[3])
            self._groups[value[0]] = found
            return found
        return self.match(_inside(op, value) or ())  # places and what must not follow stand for no character

    def _member(self, items: list) -> str:
        members = [self._of_class(op, value) for op, value in items if op is not codes.NEGATE]
        if items[0][0] is not codes.NEGATE:
            return self._choices.choice(members)
        outside = re.compile("[" + "".join(map(_class_text, items)) + "]")
        return next(filter(outside.match, CANDIDATES))

    def _of_class(self, op: object, value: object) -> str:
        if op is codes.RANGE:
            return chr(self._choices.choice(value))
        return CATEGORY[value] if op is codes.CATEGORY else chr(value)


def _class_text(item: tuple) -> str:
    op, value = item
    if op is codes.NEGATE:
        return "^"
    if op is codes.RANGE:
        return f"\\U{value[0]:08x}-\\U{value[1]:08x}"
    if op is codes.CATEGORY:
        letter = str(value).rpartition("_")[2][0].lower()
        return "\\" + (letter.upper() if "NOT" in str(value) else letter)
    return f"\\U{value:08x}"


def _inside(op: object, value: object) -> Sequence | None:
    """Return the tree within a group, or in front of or behind a place."""
    if op is codes.SUBPATTERN:
        return value[3]
    if op is codes.ASSERT:
        return value[1]
    return value if op is codes.ATOMIC_GROUP else None
