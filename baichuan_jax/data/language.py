"""Language identification, as far as the rules need it: zh, en, code or other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Literal, get_args

import numpy as np

from baichuan_jax.data.characters import BRACKET, HAN, KANA, LATIN, LETTER, NEWLINE, SYMBOL, count_kinds
from baichuan_jax.data.formulas import CLUE, ENCLOSED, split_formulas

Language = Literal["zh", "en", "code", "other"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

SAMPLE = 8000  # characters examined, from the middle: code often begins with prose
FEW = 800  # characters that suffice to recognise most English texts
CODE_MARKS = 0.01  # of the characters; of the standard library, three files in a thousand have fewer, all of them prose
FEWEST_HAN = 40  # with more letters A-Z per ideograph a text is English, whatever formulas it has
FEWEST_LINES = 4  # of code
SHORT = 2000  # characters: short texts of equations look like code that assigns
# Possessive: the end of a line is matched once, and not from every place in it. The line end before a line is part of
# the patterns: for a plain character the engine looks many times faster than for "^". Chinese in code is in strings
# and comments; a question that ends in "( )" and a choice ("A. f(x)") are no statements.
_KEYWORDS = (
    r"(?=[a-z#])"
    r"(?:def|class|import|from|return|elif|else|except|raise|for|while|if|with|const|let|var|fn|func|public|private"
    r"|static|void|int|package|use|#include|#define)\b.++(?<=[\w:;{}()\[\],.'\"])"
)
CODE_LINE = re.compile(
    r"\n[ \t]*+(?:"
    r".*+(?<=[;{}()\[\]=\\])"  # ends like a statement
    r"|[\w.]++(?:\(|[\w.\[\]]*+ ?[-+*/|]?= ?\S)|[\[\]][\w.\[\]]*+ ?[-+*/|]?= ?\S"  # calls, or assigns
    rf"|{_KEYWORDS})"
)
# The same for what is no Chinese prose and no choice of a question; it takes twice the time.
STRICT_CODE_LINE = re.compile(
    r"\n[ \t]*+(?![(\[]?[A-H][.)\]、．:：](?:[ \t\d]|[^\w\n]))(?:"
    r"(?:[^\n\u3400-\u9fff]*+|[\"'\[{}<].*+)(?<=[;{}()\[\]=\\])(?=\n|\Z)"
    r"|[A-Za-z_][A-Za-z0-9_.]*+(?:\(|[\w.\[\]]*+ ?[-+*/|]?= ?\S)|[\[\]][\w.\[\]]*+ ?[-+*/|]?= ?\S"
    rf"|{_KEYWORDS})"
)
BLANK_LINE = re.compile(r"\n[ \t]++(?=\n|\Z)")
CHOICE = re.compile(r"\n[ \t]*+[(\[]?[A-H][.)\]、．:：](?:[ \t\d]|[^\w\n])")
KEYWORD_LINE = re.compile(
    r"(?<![^\n])[ \t]*+(?:def \w+\(|class \w+|import [\w.]+|from [\w.]+ import |#include|elif .+:|else:"
    r"|return [^\n.]+(?:\n|\Z)"
    r"|(?:if|for|while) [^\n]+[:{]\n|[^\n]*[;{}]\n)"
)
# What code has seldom, and never in pairs: LaTeX between its delimiters, and commands of it.
MATHS = re.compile(r"\\(?:[(\[]|begin\{|frac|sqrt|math|text\{|cdot|times|left)|\$[^$\n]{1,200}+\$")
# Words that no other language written in Latin letters has many of.
ENGLISH = frozenset(
    "a an and are as by each for from has have he her his how if is it many much not of or she that the their there "
    "they this to was we were what when which with you your".split()
)


def identify(texts: Sequence[str], kinds: np.ndarray) -> list[Language]:
    """Return the languages of texts; kinds: int64 [KINDS, texts], their characters of each kind (`characters`).

    Formulas have no language: if they may decide, the text is judged without them.
    """
    han, latin = kinds[[HAN, LATIN]]
    other, chinese = _scripts(kinds)
    found: list[Language] = np.select([other, chinese], ["other", "zh"], "en").tolist()
    marked = (kinds[NEWLINE] >= 3) & (kinds[BRACKET] + kinds[SYMBOL] >= CODE_MARKS * kinds.sum(axis=0))
    mixed = (other | ~chinese) & (han > 0) & (latin > 0) & (FEWEST_HAN * han >= latin)
    for number in np.flatnonzero(marked | mixed | ~(other | chinese)).tolist():
        text = texts[number]
        if marked[number] and is_code(text):
            found[number] = "code"
        elif mixed[number] and _may_have_formulas(text):
            found[number] = _by_prose(text)
        elif found[number] == "en" and not _is_english(text):
            found[number] = _by_prose(text) if _may_have_formulas(text) else "other"
    return found


def _scripts(kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (whether texts are in neither Chinese nor Latin script; whether the others are Chinese)."""
    han, kana, latin, letter = kinds[[HAN, KANA, LATIN, LETTER]]
    other = (2 * kana > han) | (2 * letter > latin + 3 * han) | (han + latin == 0)
    return other, 4 * han >= latin  # Chinese text may contain many foreign names, which are longer than its words


def is_code(text: str) -> bool:
    """Return whether a text has enough lines, and a quarter of those in its middle look like statements.

    Formulas look like statements, so if there may be any they are removed first.
    """
    sample = middle(text, SAMPLE)
    if not _has(sample, CODE_LINE):
        return False
    if (CHOICE.search(sample) or not sample.isascii()) and not _has(sample, STRICT_CODE_LINE):
        return False
    maths = ("\\" in sample or "$" in sample) and MATHS.search(sample)
    if not maths and (len(text) > SHORT or KEYWORD_LINE.search(sample)):
        return True
    return _has(BLANK_LINE.sub("\n", _without_formulas(text)), STRICT_CODE_LINE)


def _has(sample: str, statement: re.Pattern) -> bool:
    """Return whether a sample has at least four lines, and a quarter of them are statements; stop counting then."""
    lines = sample.rstrip().split("\n")
    full = len(lines) - lines.count("")  # in a normalised text no line is only spaces
    if full < FEWEST_LINES:
        return False
    return next(islice(statement.finditer("\n" + sample), (full - 1) // 4, None), None) is not None


def _without_formulas(text: str) -> str:
    """Return the middle of a text without formulas; in a longer text only those between delimiters are removed."""
    return ENCLOSED.sub("", middle(text, SAMPLE)) if len(text) > SHORT else split_formulas(text)[0]


def _may_have_formulas(text: str) -> bool:
    return "$" in text or "\\" in text or (len(text) <= SHORT and CLUE.search(text) is not None)


def _by_prose(text: str) -> Language:
    """Return the language of a text that is not code, judged without its formulas."""
    prose = _without_formulas(text)
    other, chinese = _scripts(count_kinds(prose))
    if other:
        return "other"
    if chinese:
        return "zh"
    return "en" if _is_english(prose) else "other"


def _is_english(text: str) -> bool:
    # Short texts may hold none of these words; French and German hold few of them, English one in three.
    for size in (FEW, SAMPLE):
        words = middle(text, size).lower().split()
        if sum(map(ENGLISH.__contains__, words)) >= len(words) // 10:
            return True
    return False


def middle(text: str, size: int) -> str:
    """Return the middle of a text, at most `size` characters."""
    start = max(0, (len(text) - size) // 2)
    return text[start : start + size]
