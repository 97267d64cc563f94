"""Lines of texts: which sentences continue in the next line, and which lines are not running text."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from baichuan_jax.data.rules import marks
from baichuan_jax.data.rules.marks import (
    BLANK,
    CLOSING,
    FULL,
    LEAD,
    LETTER,
    LINE_END,
    LOWER,
    OPEN,
    SPACE,
    STOP_CLOSING,
    WIDE,
    after,
    before,
    until,
)

NARROW = 16  # columns: text is not wrapped to fewer
KEPT_TOGETHER = 4  # most columns of marks after an ideograph, which may not begin a line
QUOTED = 8  # deepest quotation of mail ("> > ") that is recognised
DIGITS = 3  # most digits in the number of an entry: a year is not one
BULLET, WIDE_BULLET, NUMBER, ALPHABET, MARK, WIDE_MARK, BRACKET, BRACKET_END, GAP = (1 << bit for bit in range(9))


class Lines(NamedTuple):
    """Lines of texts, as parallel arrays [lines]; places are among the characters of all texts.

    begins, breaks: int64, the beginning of the line and its line break. starts, stops: int64, of the content: without
    the ">" of mail, indentation and trailing spaces; equal on a blank line. indents, columns: int64, columns of the
    indentation, and the column where the content ends; an ideograph has two. head: bool, first line of a text. blank:
    bool. full: bool, ends with a mark that ends a sentence. quoted: int64, depth of quotation in mail. marked: bool,
    has the mark of a list entry (`list_marks`). goes_on: bool, the sentence continues in the next line. forced: bool,
    the first word of the next line did not fit.
    """

    begins: np.ndarray
    breaks: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    indents: np.ndarray
    columns: np.ndarray
    head: np.ndarray
    blank: np.ndarray
    full: np.ndarray
    quoted: np.ndarray
    marked: np.ndarray
    goes_on: np.ndarray
    forced: np.ndarray


def find_lines(characters: np.ndarray, kinds: np.ndarray, last: np.ndarray) -> Lines:
    """Return the lines of texts. kinds: bits of each character (`marks`). last: int64 [texts], the final line ends.

    A line continues in the next if it was wrapped: the first word of the next line would have exceeded the longest of
    the lines nearby. It also does if the next line begins with a small letter, or this one ends with a comma. Headings,
    list entries, rows of tables and rulers do not continue.
    """
    traits = marks.traits()
    breaks = np.flatnonzero((kinds & LINE_END) != 0)
    begins = np.append(0, breaks[:-1] + 1)[: len(breaks)]
    head = np.zeros(len(breaks), bool)
    head[np.append(0, np.searchsorted(breaks, last) + 1)[: len(last)]] = True
    unquoted, quoted = _unquoted(characters, begins)
    starts = after(kinds, unquoted, BLANK)
    blank = starts == breaks
    stops = np.where(blank, starts, before(kinds, breaks, BLANK))
    wide = np.zeros(len(kinds) + 1, np.int32)
    np.cumsum((kinds & WIDE) > 0, out=wide[1:])
    columns = np.where(blank, 0, stops - unquoted + wide[stops] - wide[unquoted])
    closed = np.maximum(before(kinds, stops, CLOSING | STOP_CLOSING), starts + ~blank)
    full = ~blank & ((traits.take(characters[closed - 1], mode="clip") & FULL) > 0)
    words = until(kinds, starts, SPACE | WIDE) - starts
    raw = np.where(blank, 0, stops - unquoted)
    marked = list_marks(characters, starts, blank)
    shape = (begins, breaks, starts, stops, starts - unquoted, columns)
    found = Lines(*shape, head, blank, full, quoted, marked, blank, blank)
    follows = below(~blank & ~head) & ~blank
    words += KEPT_TOGETHER * ((kinds[starts] & WIDE) > 0)
    by_columns, by_characters = _is_forced(columns, words, head), _is_forced(raw, words, head)
    forced = follows & (by_columns | by_characters)
    return found._replace(goes_on=follows & _goes_on(characters, found, forced), forced=forced)


def below(values: np.ndarray) -> np.ndarray:
    """Return the values shifted by one line: that of the line below each; of the last line 0 or False."""
    return np.append(values[1:], np.zeros(1, values.dtype))[: len(values)]


def _unquoted(characters: np.ndarray, begins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (the beginning of each line after the ">" of quotations, their number)."""
    places, depth = begins.copy(), np.zeros(len(begins), np.int64)
    moving = np.flatnonzero(characters[places] == ord(">"))
    for _ in range(QUOTED):
        if not moving.size:
            break
        depth[moving] += 1
        places[moving] += 1
        places[moving] += characters[places[moving]] == ord(" ")
        moving = moving[characters[places[moving]] == ord(">")]
    return places, depth


def _is_forced(columns: np.ndarray, words: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Return whether each line, with the first word of the next, would be longer than the lines nearby, bool [lines].

    A few columns are tolerated, because lines are wrapped in many ways.
    """
    above = np.append(0, columns[:-1])[: len(columns)] * ~head
    next_columns, next_head = below(columns), below(head)
    beyond = below(next_columns * ~next_head) * ~below(next_head)
    longest = np.maximum(np.maximum(above, columns), np.maximum(next_columns, beyond))
    return (columns + 1 + below(words) > longest - longest // 16 - 2) & (longest >= NARROW)


def _goes_on(characters: np.ndarray, lines: Lines, forced: np.ndarray) -> np.ndarray:
    """Return whether each line continues in the next if that is not blank."""
    traits = marks.traits()
    first = traits.take(characters[lines.starts], mode="clip")
    final = traits.take(characters[np.maximum(lines.stops - 1, 0)], mode="clip")
    marked, alone = lines.marked, _stands_alone(characters, lines)
    deeper = below(lines.indents) > lines.indents
    listed = below(marked) & (~forced | lines.full | ((final & LEAD) > 0) | marked[block_starts(lines)])
    evidence = forced | ((below(first) & LOWER) > 0) | ((final & OPEN) > 0)
    hard = (deeper & ~forced) | listed | alone | below(alone) | (below(lines.quoted) != lines.quoted)
    return evidence & ~hard


def block_starts(lines: Lines) -> np.ndarray:
    """Return the index of the first line of the block (between blank lines) of each line, int64 [lines]."""
    return last_true(lines.head | np.append(True, lines.blank[:-1])[: len(lines.blank)])


def last_true(values: np.ndarray) -> np.ndarray:
    """Return for each index the last true one up to it, int64; -1 if there is none."""
    return np.maximum.accumulate(np.where(values, np.arange(len(values)), -1))


def list_marks(characters: np.ndarray, starts: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """Return whether each line begins with the mark of a list entry, bool [lines]: - * • 1. (2) a) 三、 ① .

    starts, blank: of `Lines`.
    """
    table, final = _list_table(), len(characters) - 1

    def at(places: np.ndarray) -> np.ndarray:
        return table.take(characters[np.minimum(places, final)], mode="clip")

    first = at(starts)
    bullet = ((first & WIDE_BULLET) > 0) | ((first & BULLET) > 0) & ((at(starts + 1) & GAP) > 0)
    bracket = (first & BRACKET) > 0
    begin = starts + bracket
    tails = begin.copy()
    for _ in range(DIGITS):
        tails += (at(tails) & NUMBER) > 0
    tails += (tails == begin) & ((at(tails) & ALPHABET) > 0)
    mark = at(tails)
    # "3.14" is no entry; "1、" needs no space behind it.
    closed = ((mark & WIDE_MARK) > 0) | ((mark & MARK) > 0) & ((at(tails + 1) & GAP) > 0)
    closed = np.where(bracket, (mark & BRACKET_END) > 0, closed)
    return ~blank & (bullet | (tails > begin) & closed)


@cache
def _list_table() -> np.ndarray:
    """Return the roles of characters in list marks, as bits, uint16 [0x10000]."""
    members = {
        BULLET: "-*+•·‣◦–—",
        WIDE_BULLET: "•●○■□▪▫◆◇★☆※►▶→①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳",
        NUMBER: "0123456789一二三四五六七八九十",
        ALPHABET: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        MARK: ".)",
        WIDE_MARK: "、．）",
        BRACKET: "(（[【",
        BRACKET_END: ")）]】",
        GAP: " \t\n",
    }
    table = np.zeros(0x10000, np.uint16)
    for kind, characters in members.items():
        table[[ord(character) for character in characters]] |= kind
    return table


def _stands_alone(characters: np.ndarray, lines: Lines) -> np.ndarray:
    """Return whether each line is a row of a table, a ruler, a heading or a fence, bool [lines]."""
    last = len(characters) - 1
    first, second, third = (characters[np.minimum(lines.starts + step, last)] for step in range(3))
    row = (first == ord("|")) | ((first == ord("+")) & (second == ord("-")))
    heading = (first == ord("#")) & ((second == ord("#")) | (second == ord(" ")))
    letters = (marks.traits().take(first, mode="clip") & LETTER) > 0
    final = characters[np.maximum(lines.stops - 1, 0)]
    rule = (first == second) & (second == third) & (final == first) & ~letters & (lines.stops - lines.starts >= 3)
    box = (first >= 0x2500) & (first < 0x2580)
    return ~lines.blank & (row | heading | rule | box)
