"""Settings of the rules. Their thresholds are facts about languages and stand in `limits.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting


@dataclass(frozen=True)
class FilterConfig:
    """What the heuristic rules do beyond their thresholds."""

    chinese: Literal["keep", "simplified", "traditional"] = setting(
        "keep",
        "'keep' leaves traditional and simplified characters as they are; 'simplified' or 'traditional' converts "
        "Chinese texts to one of them (OpenCC, the extra [chinese])",
    )
    blocked_words: tuple[str, ...] = setting(
        (), "words, or paths of files with one word per line, compared without case; see `max_blocked`"
    )
    max_blocked: int = setting(
        0, "blocked words that a document may hold, each occurrence counted; a document with more is removed"
    )
    sentences: bool = setting(
        True, "whether the rules for lines and sentences apply; the rules for documents always do"
    )

    def __post_init__(self) -> None:
        known = ("keep", "simplified", "traditional")
        require(self.chinese in known, "FilterConfig.chinese", self.chinese, ", ".join(map(repr, known)))
        require(self.max_blocked >= 0, "FilterConfig.max_blocked", self.max_blocked, "a number of words, 0 or more")
