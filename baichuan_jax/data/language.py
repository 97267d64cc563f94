"""What a text is written in, as far as the rules need to know: zh, en, code or other."""

from __future__ import annotations

import re
from typing import Literal

from baichuan_jax.data.characters import HAN, KANA, LATIN, LETTER

Language = Literal["zh", "en", "code", "other"]

SAMPLE = 8000  # characters looked at for code and for English words, from the middle: code often begins with prose
CODE_LINE = re.compile(
    r"^[ \t]*(?:"
    r"(?:def|class|import|from|return|elif|else|except|raise|for|while|if|with|const|let|var|fn|func|public|private"
    r"|static|void|int|package|use|#include|#define)\b.*[\w:;{}()\[\],.'\"]"  # a statement
    r"|.*[;{}()\[\]=\\]"  # ends like one
    r"|[\w.\[\]]+ ?[-+*/|]?= ?\S.*"  # assigns
    r"|[\w.]+\(.*"  # calls
    r")$",
    re.MULTILINE,
)
FULL_LINE = re.compile(r"^.*\S", re.MULTILINE)
WORD = re.compile(r"[A-Za-z]+")
ENGLISH = re.compile(r"\b(?:an?|and|are|as|by|for|from|has|is|not|of|or|that|the|this|to|was|we|with)\b")


def identify(text: str, kinds: list[int]) -> Language:
    """Returns the language of a text whose characters `kinds` counts (`characters.count_kinds`)."""
    han, kana, latin, letter = (kinds[kind] for kind in (HAN, KANA, LATIN, LETTER))
    start = max(0, (len(text) - SAMPLE) // 2)
    sample = text[start : start + SAMPLE]
    if _is_code(sample):
        return "code"
    if 2 * kana > han or 2 * letter > latin + 3 * han:
        return "other"
    if 4 * han >= latin:  # a Chinese text may name many foreign products; their names are longer than its words
        return "zh" if han else "other"
    # Short texts may hold none of these words; French and German hold few of them, English one in three.
    return "en" if len(ENGLISH.findall(sample.lower())) >= len(WORD.findall(sample)) // 10 else "other"


def _is_code(sample: str) -> bool:
    """True if a quarter of the lines look like statements, and there are some lines."""
    full = len(FULL_LINE.findall(sample))
    return full >= 4 and 4 * len(CODE_LINE.findall(sample)) >= full
