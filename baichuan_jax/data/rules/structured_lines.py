"""Lines that are not running text: verse, lists, definitions, tables, code. None of them may be removed alone."""

from __future__ import annotations

import numpy as np

from baichuan_jax.data.dedup.runs import ranges, run_starts
from baichuan_jax.data.rules import marks
from baichuan_jax.data.rules.line_layout import Lines, below, block_starts, last_true
from baichuan_jax.data.rules.marks import CLAUSE, LEAD, LETTER, LOWER, QUOTE, WIDE

TERM = 40  # most columns of a term or heading
VERSE, VERSE_LINES = 64, 4  # most columns of a line in letters; least lines of a poem
CLAUSE_LENGTH, COUPLETS, EVEN = 11, 300, (4, 7)  # of Chinese verse: characters, columns, characters if all are equal
LEVELS = (0, 1, 5, 9)  # indentations that separate levels of nested entries
FAR = 1 << 20  # columns: beyond every indentation
FENCES = (ord("`"), ord("~"))
CODE_ENDS = "{};\\"
PROMPTS = {"$": " ", ">": ">", "/": "/*", "#": "! id"}  # the first two characters of lines of code


def structured_lines(characters: np.ndarray, lines: Lines) -> np.ndarray:
    """Return which lines belong to verse, a list, definitions, a table or code, bool [lines]."""
    first, second, final = (_at(characters, places) for places in (lines.starts, lines.starts + 1, lines.stops - 1))
    joined = np.append(False, lines.goes_on[:-1])[: len(first)]
    entries = lines.marked & ~joined
    leads = _leads(lines)
    terms = leads & (below(lines.indents) > lines.indents)
    announces = ~lines.blank & ~lines.goes_on & ((final & LEAD) > 0)
    heading = (lines.indents == 0) & (((first | second) & LOWER) == 0) & ~announces
    paragraph = last_true(~joined)
    defined = np.append(False, terms[:-1])[: len(first)]
    fixed = (entries | defined)[paragraph] | entries | terms
    fixed |= _inside(lines, entries | announces | (terms & ~heading))
    fixed |= _definitions(lines, leads) | _code(characters, lines) | _rows(characters, lines)
    return fixed | _verse(lines, first) | _chinese_verse(characters, lines, first, final)


def _at(characters: np.ndarray, places: np.ndarray) -> np.ndarray:
    return marks.traits().take(characters[np.clip(places, 0, len(characters) - 1)], mode="clip")


def _leads(lines: Lines) -> np.ndarray:
    """Return which lines are terms or headings: short, without a full stop, and followed by a line."""
    followed = below(~lines.blank & ~lines.head)
    return ~lines.blank & ~lines.full & ~lines.goes_on & (lines.columns <= TERM) & followed


def _inside(lines: Lines, openers: np.ndarray) -> np.ndarray:
    """Return which lines are indented deeper than the opener before them, like all lines between, bool [lines]."""
    found = np.zeros(len(openers), bool)
    for least, beyond in zip(LEVELS, (*LEVELS[1:], FAR)):
        mine = openers & (lines.indents >= least) & (lines.indents < beyond)
        if not mine.any():
            continue
        segments = np.cumsum(mine | lines.head)
        indents = np.where(lines.blank | mine, FAR, lines.indents)
        lowest = np.minimum.accumulate(indents - segments * (FAR + 1)) + segments * (FAR + 1)
        opener = last_true(mine | lines.head)
        found |= mine[opener] & (lowest > lines.indents[opener]) & ~mine & ~lines.blank
    return found


def _definitions(lines: Lines, leads: np.ndarray) -> np.ndarray:
    """Return which lines are in blocks that begin with a term, if an adjacent block does too."""
    starts = block_starts(lines)
    firsts = np.flatnonzero(~lines.blank & (starts == np.arange(len(starts))))
    defines = leads[firsts]
    texts = np.cumsum(lines.head)[firsts]
    both = defines[1:] & defines[:-1] & (texts[1:] == texts[:-1])
    several = np.zeros(len(firsts), bool)
    several[1:] |= both
    several[:-1] |= both
    chosen = np.zeros(len(starts), bool)
    chosen[firsts] = several
    return chosen[starts] & ~lines.blank


def _code(characters: np.ndarray, lines: Lines) -> np.ndarray:
    """Return which lines are between fences, or in blocks where a third of the lines look like code."""
    end = len(characters) - 1
    first, second, third, final = (
        characters[np.clip(places, 0, end)]
        for places in (lines.starts, lines.starts + 1, lines.starts + 2, lines.stops - 1)
    )
    fence = ~lines.blank & ((first == FENCES[0]) | (first == FENCES[1])) & (first == second) & (second == third)
    number = np.cumsum(fence)
    inside = (number - (number - fence)[last_true(lines.head)]) % 2 > 0
    looks = ~lines.blank & (marks.among(CODE_ENDS).take(final, mode="clip") | _prompts(first, second))
    starts = block_starts(lines)
    share = np.bincount(starts, looks, len(starts)) * 3 >= np.bincount(starts, ~lines.blank, len(starts))
    return fence | inside | (share & (np.bincount(starts, looks, len(starts)) > 0))[starts]


def _prompts(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return whether lines begin with one of PROMPTS, bool [lines]. Most lines do not."""
    found = np.zeros(len(first), bool)
    for prompt, follows in PROMPTS.items():
        rows = np.flatnonzero(first == ord(prompt))
        found[rows] = np.isin(second[rows], [ord(mark) for mark in follows])
    return found


def _rows(characters: np.ndarray, lines: Lines) -> np.ndarray:
    first = characters[lines.starts]
    return ~lines.blank & ((first == ord("|")) | ((first >= 0x2500) & (first < 0x2580)))


def _verse(lines: Lines, first: np.ndarray) -> np.ndarray:
    """Return which lines are verse in letters: several short lines in a row that all begin with a capital.

    At least a third of them must not end a sentence; else they are sentences, one per line.
    """
    rows = np.flatnonzero(~lines.blank)
    like = (lines.columns <= VERSE) & ((first & LOWER) == 0) & ((first & WIDE) == 0) & ((first & LETTER) > 0)
    starts = run_starts(np.cumsum(lines.head)[rows] * 2 + like[rows])
    if not len(starts):
        return np.zeros(len(first), bool)
    sizes = np.diff(starts, append=len(rows))
    open_ends = np.add.reduceat(~lines.full[rows], starts, dtype=np.int64)
    verse = like[rows[starts]] & (sizes >= VERSE_LINES) & (3 * open_ends >= sizes)
    found = np.zeros(len(first), bool)
    found[rows] = np.repeat(verse, sizes)
    return found


def _chinese_verse(characters: np.ndarray, lines: Lines, first: np.ndarray, final: np.ndarray) -> np.ndarray:
    """Return which lines are Chinese verse: two or more in a row, of short clauses without quotation marks.

    A single line suffices if it has four clauses of equal length, four to seven characters.
    """
    found = np.zeros(len(first), bool)
    ends_clause = ((final & CLAUSE) > 0) & ((final & WIDE) > 0)
    rows = np.flatnonzero(~lines.blank & ends_clause & ((first & WIDE) > 0) & (lines.columns <= COUPLETS))
    if not rows.size:
        return found
    sizes = lines.stops[rows] - lines.starts[rows]
    owners = np.repeat(np.arange(len(rows)), sizes)
    text = _at(characters, ranges(lines.starts[rows], sizes))
    other = np.bincount(owners, np.where((text & QUOTE) > 0, FAR, (text & WIDE) == 0), len(rows))
    breaks = np.flatnonzero(text & CLAUSE)
    lengths = np.diff(breaks, prepend=-1) - 1
    starts = run_starts(owners[breaks])
    longest = np.maximum.reduceat(lengths, starts)
    shortest = np.minimum.reduceat(lengths, starts)
    clauses = np.diff(starts, append=len(breaks))
    short = (other <= 2) & (longest <= CLAUSE_LENGTH) & (lines.columns[rows] <= 2 * VERSE)
    even = (other == 0) & (longest == shortest) & (clauses >= 4) & (longest >= EVEN[0]) & (longest <= EVEN[1])
    found[rows] = short
    visible = np.flatnonzero(~lines.blank)
    starts = run_starts(np.cumsum(lines.head)[visible] * 2 + found[visible])
    runs = np.diff(starts, append=len(visible))
    begins = visible[starts]
    # Lines of wrapped prose may end with marks by chance, but the first of them continues the line before.
    verse = found[begins] & (runs >= 2) & ~np.append(False, lines.goes_on)[begins]
    found[visible] = np.repeat(verse, runs)
    found[rows] |= even
    return found
