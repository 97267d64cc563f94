"""What a text is written in, as far as the rules need to know: zh, en, code or other."""

from __future__ import annotations

import re
from typing import Literal, get_args

from baichuan_jax.data.characters import BRACKET, HAN, KANA, LATIN, LETTER, NEWLINE, SYMBOL

Language = Literal["zh", "en", "code", "other"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

SAMPLE = 8000  # characters looked at, from the middle: code often begins with prose
FEW = 800  # characters that show most English texts to be English
CODE_MARKS = 0.01  # of the characters; of the standard library, three files in a thousand have fewer, all of them prose
# Possessive: where a line ends is looked at once, and not from every place in it. The line end before a line is part of
# the patterns: for a plain character the engine looks many times faster than for "^".
CODE_LINE = re.compile(
    r"\n[ \t]*+(?:"
    r".*+(?<=[;{}()\[\]=\\])"  # ends like a statement
    r"|[\w.]++(?:\(|[\w.\[\]]*+ ?[-+*/|]?= ?\S)|[\[\]][\w.\[\]]*+ ?[-+*/|]?= ?\S"  # calls, or assigns
    r"|(?=[a-z#])"
    r"(?:def|class|import|from|return|elif|else|except|raise|for|while|if|with|const|let|var|fn|func|public|private"
    r"|static|void|int|package|use|#include|#define)\b.++(?<=[\w:;{}()\[\],.'\"])"  # a statement
    r")"
)
FULL_LINE = re.compile(r"\n[ \t]*+\S")
ENGLISH = frozenset("a an and are as by for from has is not of or that the this to was we with".split())


def identify(text: str, kinds: list[int]) -> Language:
    """Returns the language of a text whose characters of each kind `kinds` counts (`characters`)."""
    if kinds[NEWLINE] >= 3 and kinds[BRACKET] + kinds[SYMBOL] >= CODE_MARKS * len(text) and is_code(text):
        return "code"
    han, kana, latin, letter = kinds[HAN], kinds[KANA], kinds[LATIN], kinds[LETTER]
    if 2 * kana > han or 2 * letter > latin + 3 * han:
        return "other"
    if 4 * han >= latin:  # a Chinese text may name many foreign products; their names are longer than its words
        return "zh" if han else "other"
    # Short texts may hold none of these words; French and German hold few of them, English one in three.
    return "en" if _is_english(_middle(text, FEW)) or _is_english(_middle(text, SAMPLE)) else "other"


def is_code(text: str) -> bool:
    """True if a quarter of the lines in the middle of a text look like statements, and there are some lines."""
    sample = "\n" + _middle(text, SAMPLE)
    full = len(FULL_LINE.findall(sample))
    return full >= 4 and 4 * len(CODE_LINE.findall(sample)) >= full


def _is_english(sample: str) -> bool:
    words = sample.lower().split()
    return sum(map(ENGLISH.__contains__, words)) >= len(words) // 10


def _middle(text: str, size: int) -> str:
    start = max(0, (len(text) - size) // 2)
    return text[start : start + size]
