"""What a text is written in, as far as the rules need to know: zh, en, code or other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

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
ENGLISH = frozenset("a an and are as by for from has is not of or that the this to was we with".split())


def identify(texts: Sequence[str], kinds: np.ndarray) -> list[Language]:
    """Returns the languages of texts; kinds: int64 [KINDS, texts], their characters of each kind (`characters`)."""
    han, kana, latin, letter = kinds[[HAN, KANA, LATIN, LETTER]]
    other = (2 * kana > han) | (2 * letter > latin + 3 * han) | (han + latin == 0)
    chinese = 4 * han >= latin  # it may name many foreign products; their names are longer than its words
    found: list[Language] = np.select([other, chinese], ["other", "zh"], "en").tolist()
    marked = (kinds[NEWLINE] >= 3) & (kinds[BRACKET] + kinds[SYMBOL] >= CODE_MARKS * kinds.sum(axis=0))
    for number in np.flatnonzero(marked | ~(other | chinese)).tolist():
        if marked[number] and is_code(texts[number]):
            found[number] = "code"
        elif found[number] == "en" and not _is_english(texts[number]):
            found[number] = "other"
    return found


def is_code(text: str) -> bool:
    """True if a quarter of the lines in the middle of a text look like statements, and there are some lines."""
    sample = _middle(text, SAMPLE)
    lines = sample.rstrip().split("\n")
    full = len(lines) - lines.count("")  # in a normalised text no line is only spaces
    return full >= 4 and 4 * len(CODE_LINE.findall("\n" + sample)) >= full


def _is_english(text: str) -> bool:
    # Short texts may hold none of these words; French and German hold few of them, English one in three.
    for size in (FEW, SAMPLE):
        words = _middle(text, size).lower().split()
        if sum(map(ENGLISH.__contains__, words)) >= len(words) // 10:
            return True
    return False


def _middle(text: str, size: int) -> str:
    start = max(0, (len(text) - size) // 2)
    return text[start : start + size]
