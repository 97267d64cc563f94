"""Settings of the rules. Their thresholds depend only on the language: `limits.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting


@dataclass(frozen=True)
class FilterConfig:
    """Options of the heuristic rules."""

    chinese: Literal["keep", "simplified", "traditional"] = setting(
        "keep",
        "'keep' leaves traditional and simplified characters as they are; 'simplified' or 'traditional' converts "
        "Chinese texts to one of them (OpenCC, the extra [chinese])",
    )
    blocked_words: tuple[str, ...] = setting(
        (), "words, or paths of files with one word per line, matched case-insensitively; see `max_blocked`"
    )
    max_blocked: int = setting(0, "maximum occurrences of blocked words in a document; a document with more is removed")
    sentences: bool = setting(
        True, "whether to apply the rules for lines and sentences; those for documents always apply"
    )

    def __post_init__(self) -> None:
        known = ("keep", "simplified", "traditional")
        require(self.chinese in known, "FilterConfig.chinese", self.chinese, ", ".join(map(repr, known)))
        require(self.max_blocked >= 0, "FilterConfig.max_blocked", self.max_blocked, "a number of words, 0 or more")
