"""Rules for lines and sentences: what belongs to a web page and not to its text is taken out."""

from __future__ import annotations

import re

from baichuan_jax.data.language import Language
from baichuan_jax.data.rules.boilerplate import LINE, LINE_HINT, PART_HINT, PARTS

LONGEST = 400  # characters in a line that is looked at: no notice is longer
PART = {reason: re.compile(pattern) for reason, pattern in PARTS.items()}
BLANK_LINES = re.compile("\n{4,}")


def prune(text: str, language: Language) -> tuple[str, dict[str, list[str]]]:
    """Returns (what is left of a normalised text, the lines and ends of lines that went, by reason).

    The same object if nothing goes, as nothing of code does. What is left is normalised, and has nothing to prune.
    """
    if language == "code":
        return text, {}
    framed, end = f"\n{text}\n", 0  # so that each line stands between two line ends
    # Each pattern alone is twice as fast as one of both: the engine passes over what neither can begin with.
    hints = sorted(match.start() for pattern in (LINE_HINT, PART_HINT) for match in pattern.finditer(framed))
    if not hints:
        return text, {}
    kept: list[str] = []
    pruned: dict[str, list[str]] = {}
    for hint in hints:
        start = framed.rfind("\n", 0, hint + 1) + 1
        if start < end:
            continue  # a second hint in the same line
        kept.append(framed[end:start])
        end = framed.index("\n", start)
        left = _prune_line(framed[start:end], pruned)
        kept.append(left)
        end += not left  # a line that is gone takes its line end with it
    if not pruned:
        return text, {}
    return BLANK_LINES.sub("\n\n\n", "".join([*kept, framed[end:]])).strip("\n"), pruned


def _prune_line(line: str, pruned: dict[str, list[str]]) -> str:
    """Returns what is left of a line; what goes is added to `pruned`."""
    while found := _find(line):
        reason, start = found
        pruned.setdefault(reason, []).append(line[start:].strip())
        line = line[:start].rstrip()
    return line


def _find(line: str) -> tuple[str, int] | None:
    """Returns (reason, where what goes begins), or None if nothing does."""
    if len(line) > LONGEST:
        return None
    if match := LINE.fullmatch(line.strip()):
        return match.lastgroup, 0
    for reason, pattern in PART.items():
        if match := pattern.search(line):
            return reason, match.start()
    return None
