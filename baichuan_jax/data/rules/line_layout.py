"""Lines of texts: which go on in the next one, and which belong to something that is not running text."""

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

NARROW = 16  # columns: text is not wrapped to less
KEPT_TOGETHER = 4  # columns that marks behind an ideograph may have, which no line begins with
QUOTED = 8  # deepest quotation of mail ("> > ") that is looked for
DIGITS = 3  # in the number of an entry at most: a year is none
BULLET, WIDE_BULLET, NUMBER, ALPHABET, MARK, WIDE_MARK, BRACKET, BRACKET_END, GAP = (1 << bit for bit in range(9))


class Lines(NamedTuple):
    """Lines of texts, parallel arrays [lines]; places are among the characters of all texts.

    begins, breaks: int64, from behind the line break before to its own. starts, stops: int64, of the content: without
    quotation marks of mail, indentation and trailing spaces; equal on a blank line. indents, columns: int64, of the
    indentation, and where the content ends; an ideograph has two. head: bool, the first of a text. blank: bool. full:
    bool, with a mark at the end that ends a sentence. quoted: int64, depth in mail. marked: bool, with the mark of an
    entry of a list (`list_marks`). goes_on: bool, whether the sentence goes on in the next line. forced: bool, whether
    the next line's first word had found no room.
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
    """Return the lines of texts. kinds: of `marks`, of each character. last: int64 [texts], the last line end of each.

    A line goes on in the next if it breaks where a wrapped one must, no sooner than the next word would have reached
    over the longest of the lines around it; or if the next one begins with a small letter, or this one ends with a
    comma. Headings, list entries, rows of tables and rules stand alone.
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
    """Return the value of the line below each; of the last line, nothing."""
    return np.append(values[1:], np.zeros(1, values.dtype))[: len(values)]


def _unquoted(characters: np.ndarray, begins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (where each line begins behind marks of quotation, how many of them there are)."""
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
    """Return whether the first word of the next line would have made each longer than those around it, bool [lines].

    Lines are wrapped in many ways: a few columns are let pass.
    """
    above = np.append(0, columns[:-1])[: len(columns)] * ~head
    next_columns, next_head = below(columns), below(head)
    beyond = below(next_columns * ~next_head) * ~below(next_head)
    longest = np.maximum(np.maximum(above, columns), np.maximum(next_columns, beyond))
    return (columns + 1 + below(words) > longest - longest // 16 - 2) & (longest >= NARROW)


def _goes_on(characters: np.ndarray, lines: Lines, forced: np.ndarray) -> np.ndarray:
    """Return whether each line goes on in the next if that is not blank."""
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
    """Return the index of the first line of the block that each stands in: between blank lines, int64 [lines]."""
    return last_true(lines.head | np.append(True, lines.blank[:-1])[: len(lines.blank)])


def last_true(values: np.ndarray) -> np.ndarray:
    """Return for each place the last one up to it whose value is true, int64; -1 if there is none."""
    return np.maximum.accumulate(np.where(values, np.arange(len(values)), -1))


def list_marks(characters: np.ndarray, starts: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """Return whether each line begins with the mark of an entry of a list, bool [lines]: - * • 1. (2) a) 三、 ① .

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
    """Return what characters are to list marks, uint16 [0x10000]."""
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
    """Return whether each line is a row of a table, a rule, a heading or a fence, bool [lines]."""
    last = len(characters) - 1
    first, second, third = (characters[np.minimum(lines.starts + step, last)] for step in range(3))
    row = (first == ord("|")) | ((first == ord("+")) & (second == ord("-")))
    heading = (first == ord("#")) & ((second == ord("#")) | (second == ord(" ")))
    letters = (marks.traits().take(first, mode="clip") & LETTER) > 0
    final = characters[np.maximum(lines.stops - 1, 0)]
    rule = (first == second) & (second == third) & (final == first) & ~letters & (lines.stops - lines.starts >= 3)
    box = (first >= 0x2500) & (first < 0x2580)
    return ~lines.blank & (row | heading | rule | box)
