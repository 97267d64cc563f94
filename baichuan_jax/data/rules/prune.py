"""Rules for lines and sentences: remove what belongs to a web page and not to its text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from baichuan_jax.data.rules.boilerplate import LINE, PARTS
from baichuan_jax.data.rules.normalize import BLANK_LINES

LONGEST = 400  # most characters of a line that is examined: no notice is longer
PART = {reason: re.compile(pattern) for reason, pattern in PARTS.items()}


def prune(text: str, hints: Iterable[int]) -> tuple[str, dict[str, list[str]]]:
    """Return (the rest of a text, the removed lines and ends of lines by reason).

    hints: the places to examine, in order (`hints`). The text is the same object if nothing is removed. The rest is
    normalised, and pruning it again changes nothing.
    """
    end = 0
    kept: list[str] = []
    pruned: dict[str, list[str]] = {}
    for hint in hints:
        if hint < end:
            continue  # a second hint in the same line
        start = text.rfind("\n", 0, hint) + 1
        kept.append(text[end:start])
        end = text.find("\n", start) % (len(text) + 1)  # -1 is the end
        left = _prune_line(text[start:end], pruned)
        kept.append(left)
        end += not left  # a removed line includes its line end
    if not pruned:
        return text, {}
    text = "".join([*kept, text[end:]])
    return (BLANK_LINES.sub("\n\n\n", text) if "\n\n\n\n" in text else text).strip("\n"), pruned


def _prune_line(line: str, pruned: dict[str, list[str]]) -> str:
    """Return the rest of a line; what is removed is added to `pruned`."""
    while found := _find(line):
        reason, start = found
        pruned.setdefault(reason, []).append(line[start:].strip())
        line = line[:start].rstrip()
    return line


def _find(line: str) -> tuple[str, int] | None:
    """Return (reason, where the part to remove begins), or None."""
    if len(line) > LONGEST:
        return None
    if match := LINE.fullmatch(line.strip()):
        return match.lastgroup, 0
    for reason, pattern in PART.items():
        if match := pattern.search(line):
            return reason, match.start()
    return None
