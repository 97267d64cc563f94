"""Settings of the rules. Their thresholds are facts about languages and stand in `limits.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import require


@dataclass(frozen=True)
class FilterConfig:
    """What the heuristic rules do beyond their thresholds.

    chinese: "keep" leaves traditional and simplified characters as they are; "simplified" or "traditional" converts
    Chinese texts to one of them (OpenCC, the extra [chinese]).
    blocked_words: words, or paths of files with one word a line, compared without case.
    max_blocked: occurrences of blocked words that a document may hold; with more it goes.
    sentences: whether the rules for lines and sentences apply; those for documents always do.
    """

    chinese: Literal["keep", "simplified", "traditional"] = "keep"
    blocked_words: tuple[str, ...] = ()
    max_blocked: int = 0
    sentences: bool = True

    def __post_init__(self) -> None:
        known = ("keep", "simplified", "traditional")
        require(self.chinese in known, "FilterConfig.chinese", self.chinese, ", ".join(map(repr, known)))
        require(self.max_blocked >= 0, "FilterConfig.max_blocked", self.max_blocked, "a number of words, 0 or more")
