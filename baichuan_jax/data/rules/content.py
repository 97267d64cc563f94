"""Content that is not prose: formulas, the choices of a question, tables, and repeated marks.

The rules count letters, and treat a text with few of them as noise. A text that they would remove is judged again with
its formulas and choices replaced by letters and without the frames of its tables.
"""

from __future__ import annotations

import re

from baichuan_jax.data.formulas import split_formulas, substitute_formulas
from baichuan_jax.data.rules.normalize import UNSPACED

# A choice, with the lines of its formula: "A. 3/4", "(B) 1945", "C、$x^2$".
CHOICE = re.compile(
    r"(?<![^\n])[ \t]*+[(（\[【]?([A-HＡ-Ｈ])(?:[)）\]】][.．、]?|[.．、:：])[ \t]*+[^\n]++(?:\n(?=[$\\&}])[^\n]++)*+"
)
BOTH = {"A", "B"}  # lines are choices only if these labels occur
# Tables: box-drawing characters; rulers; rows, with bars or tabs; and the dots before a page number.
DRAWN = re.compile("[\u2500-\u259f]++")
RULER = re.compile(r"(?<![^\n])[ \t]*+[-=_+|:][-=_+|: \t]*+(?=\n|\Z)")
ROW = re.compile(
    r"(?<![^\n])(?:[ \t]*+\|[^\n$\\]*\|[ \t]*|[^\n|$\\]*[ \t]\|[ \t][^\n|$\\]*[ \t]\|[ \t][^\n$\\]*+"
    r"|[^\n\t]++\t[^\n\t]*+\t[^\n]*+)(?=\n|\Z)"
)
# Time stamps of subtitles and lyrics; and the bullet of a line that is prose.
TIMES = re.compile(
    r"(?<![^\n])(?:(?:\d++[ \t]*+\n)?[ \t]*+[\d:.,]++[ \t]*+-->[ \t]*+[\d:.,]++[^\n]*+|(?:\[\d++:\d++(?:\.\d++)?\])++)"
)
PROSE_BULLET = re.compile(
    r"(?<![^\n])[ \t]*+[-*•●·◆■▲][ \t]*+(?=[^\n]{100}|[^\n]{20,99}(?<=[.!?。！？；;…])[”’」』）\"')]*+(?=\n|\Z))"
)
# A space that ends a clause, in scripts without spaces between words that rarely have full stops.
CLAUSE = re.compile(f"(?<=[{UNSPACED}])[ \u200b]+(?=[{UNSPACED}])")
# Anchored at the beginning of a run: else the rest of the run would be scanned again from each mark.
LEADER = re.compile(r"(?<![.·…])(?<![.·…] )(?:[.·…] ?){4,}+(?=[ \t]*\d++(?:\n|\Z))")
LETTERS = re.compile(r"[^\W\d_]")
SPACES = re.compile(r"\s+")
LONG_WORD = re.compile(r"[!-~]{20,}+")  # addresses, and names that a markup language marks
JOINTS = re.compile(r"(?<=[A-Za-z0-9])[^\w\s]{1,3}(?=[A-Za-z0-9])")
PER_CHARACTER, PER_WORD = 2, 5  # letters that replace a character of a formula; letters of such a word


def in_letters(text: str) -> str:
    """Return a text without frames of tables, with its formulas and choices replaced by words of letters."""
    text = without_frames(text)
    if _has_choices(text):
        text = CHOICE.sub(lambda choice: _in_letters(choice[0]), text)
    text = CLAUSE.sub(". ", PROSE_BULLET.sub("", substitute_formulas(text, _in_letters)))
    return LONG_WORD.sub(lambda word: JOINTS.sub(" ", word[0]), text)


def prose(text: str) -> str:
    """Return a text without frames of tables, formulas and choices."""
    text = without_frames(text)
    return split_formulas(CHOICE.sub("", text) if _has_choices(text) else text)[0]


def without_frames(text: str) -> str:
    """Return a text without the frames of its tables, and without the rows with more figures than words."""
    return LEADER.sub(" ", RULER.sub("", ROW.sub(_row, DRAWN.sub(" | ", TIMES.sub("", text)))))


def _row(row: re.Match) -> str:
    cells = row[0].replace("|", " ")
    return cells if 2 * len(LETTERS.findall(cells)) >= len(SPACES.sub("", cells)) else ""


def _has_choices(text: str) -> bool:
    return {choice[1] for choice in CHOICE.finditer(text)} >= BOTH


def _in_letters(content: str) -> str:
    """Return words of PER_WORD letters, PER_CHARACTER letters for each character that is not white space."""
    words, rest = divmod(PER_CHARACTER * len(SPACES.sub("", content)), PER_WORD)
    return f" {'x' * PER_WORD} " * words + "x" * rest + " "
