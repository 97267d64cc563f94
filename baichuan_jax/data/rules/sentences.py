"""Sentence splitting for Chinese and English, many texts at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from baichuan_jax.data.characters import join, points, text_ends
from baichuan_jax.data.dedup.runs import distinct, ranges
from baichuan_jax.data.rules import marks
from baichuan_jax.data.rules.line_layout import Lines, find_lines
from baichuan_jax.data.rules.marks import (
    BLANK,
    CLOSING,
    FULL,
    INNER,
    LEAD,
    LINE_END,
    MARK,
    OPEN,
    OPENING,
    SPACE,
    STOP,
    STOP_CLOSING,
    after,
    before,
)
from baichuan_jax.data.rules.structured_lines import structured_lines

# Full stops after these, and after a capital letter ("J. F. Kennedy"), do not end a sentence.
TITLES = ("Mr", "Dr", "St", "No", "vs", "Mrs", "Gen", "Sen", "Rep", "etc")
# A sentence with such an end introduces the lines below it, as one with a colon does.
ANNOUNCING = ("如下。", "如下所示。", "following.", "follows.", "below.")
HEADING, RAGGED = 40, 60  # most columns of a heading, and of lines with intended line breaks


class Sentences(NamedTuple):
    """The sentences of some texts.

    characters: of all texts, uint32, a line end after each. texts, starts, stops: int64 [sentences], in order: the
    index of the text, and the span among the characters. first: int64 [texts], where each text begins. whole: bool
    [sentences], whether the rest reads on without it: it is running text that ends with a full stop, and so does what
    precedes it.
    """

    characters: np.ndarray
    texts: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    first: np.ndarray
    whole: np.ndarray


def split_sentences(texts: Sequence[str]) -> Sentences:
    """Return the sentences of texts, each including the white space up to the next, so that they cover the texts.

    Full stops end a sentence, in English only before a space and a capital letter. A line end ends one too, unless the
    line continues in the next (`line_layout.find_lines`): a heading or a list entry is a sentence.
    """
    characters = points(join(texts))
    last = text_ends(texts) - 1
    kinds = marks.kinds().take(characters, mode="clip")
    lines = find_lines(characters, kinds, last)
    stops = distinct(np.concatenate([last, *_ends(characters, kinds, lines, last)]))
    owners = np.searchsorted(last, stops)
    first = np.append(0, last[:-1] + 1)[: len(texts)]
    starts = np.maximum(np.append(0, stops[:-1])[: len(stops)], first[owners])
    full = starts < stops  # an empty text has no sentence
    owners, starts, stops = owners[full], starts[full], stops[full]
    return Sentences(characters, owners, starts, stops, first, _whole(characters, kinds, lines, owners, starts, stops))


def sentences(text: str) -> list[str]:
    """Return the sentences of a text; their concatenation is the text."""
    found = split_sentences([text])
    return [text[start:end] for start, end in zip(found.starts.tolist(), found.stops.tolist())]


def _ends(characters: np.ndarray, kinds: np.ndarray, lines: Lines, last: np.ndarray) -> list[np.ndarray]:
    """Return the ends of sentences within the texts, int64, in three parts. last: the line ends of the texts.

    In `kinds`, the characters between a line and its continuation become blanks.
    """
    traits = marks.traits()
    kinds[lines.breaks[lines.goes_on]] = SPACE | BLANK
    quoted = np.flatnonzero(lines.quoted)
    kinds[ranges(lines.begins[quoted], (lines.starts - lines.begins)[quoted])] = SPACE | BLANK
    kinds[last] = 0  # nothing crosses the end of a text
    places = np.flatnonzero((kinds & (LINE_END | MARK | STOP)) != 0)  # of bool it is several times as fast
    line_ends, ended, full_stops = (places[(kinds[places] & kind) > 0] for kind in (LINE_END, MARK, STOP))
    stops = after(kinds, after(kinds, ended + 1, CLOSING), BLANK)
    stops = stops[(kinds[stops] & (SPACE | MARK)) == 0]
    closed = after(kinds, full_stops + 1, STOP_CLOSING)
    stop_ends = after(kinds, closed, BLANK)
    opens = (traits.take(characters[stop_ends], mode="clip") & OPENING) > 0
    full = np.flatnonzero((stop_ends > closed) & opens)
    return [after(kinds, line_ends + 1, SPACE), stops, stop_ends[full[~_abbreviates(characters, full_stops[full])]]]


def _whole(
    characters: np.ndarray, kinds: np.ndarray, lines: Lines, texts: np.ndarray, starts: np.ndarray, stops: np.ndarray
) -> np.ndarray:
    """Return which sentences can be removed from running text, bool [sentences]."""
    if not len(starts):
        return np.zeros(0, bool)
    traits = marks.traits()
    contents = np.maximum(before(kinds, stops, SPACE), starts + 1)
    closed = np.maximum(before(kinds, contents, CLOSING | STOP_CLOSING), starts + 1)
    full = (traits.take(characters[closed - 1], mode="clip") & FULL) > 0
    full &= ~_ends_with(characters, closed, ("..", *ANNOUNCING))
    first = traits.take(characters[starts], mode="clip")
    begins = np.append(True, texts[1:] != texts[:-1])
    line = np.searchsorted(lines.breaks, starts)
    line_after = np.searchsorted(lines.breaks, contents - 1)
    headed = _headed(characters, lines, line, starts) & ~_next_is_heading(lines, line, line_after)
    follows = np.append(False, full[:-1])
    starts_well = (begins | follows | headed) & ((first & INNER) == 0)
    next_well = np.append(((first & INNER) == 0)[1:] | begins[1:], True)
    # "He asked?" is not a complete sentence if what follows says who asked.
    speech = (closed < contents) & (contents == stops) & ~np.append(begins[1:], True)
    fixed = _counts(structured_lines(characters, lines))
    ragged = _counts(lines.goes_on & ~lines.forced & (lines.columns <= RAGGED))
    running = (fixed[line_after + 1] == fixed[line]) & (ragged[line_after] == ragged[line])
    return starts_well & full & next_well & running & ~speech


def _headed(characters: np.ndarray, lines: Lines, line: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return which sentences begin below a heading: a short line that is not a command option, and a blank line."""
    above = np.maximum(line - 2, 0)
    final = marks.traits().take(characters[np.maximum(lines.stops[above] - 1, 0)], mode="clip")
    heading = ~lines.blank[above] & (lines.columns[above] <= HEADING) & ((final & (LEAD | OPEN)) == 0)
    option = characters[lines.starts[above]] == ord("-")
    return (starts == lines.starts[line]) & lines.blank[line - 1] & heading & ~option


def _next_is_heading(lines: Lines, line: np.ndarray, line_after: np.ndarray) -> np.ndarray:
    """Return which sentences end a paragraph before another heading: without them, a heading would have no text."""
    following = np.append(line[1:], len(lines.breaks) - 1)
    heading = ~lines.full & (lines.columns <= HEADING) & ~lines.goes_on & ~lines.blank
    return (following > line_after) & heading[following]


def _ends_with(characters: np.ndarray, places: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """Return which places are preceded by one of some words, bool [places]."""
    found = np.zeros(len(places), bool)
    for _, rows in _behind(characters, places, words):
        found[rows] = True
    return found


def _behind(characters: np.ndarray, places: np.ndarray, words: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (word, indices of the places that it precedes); few candidates are left after two letters."""
    final = characters[np.maximum(places - 1, 0)]
    for word in words:
        rows = np.flatnonzero((final == ord(word[-1])) & (places >= len(word)))
        for distance, letter in enumerate(reversed(word[:-1]), 2):
            rows = rows[characters[places[rows] - distance] == ord(letter)]
        yield word, rows


def _counts(values: np.ndarray) -> np.ndarray:
    """Return the number of true values before each place, int64 [values + 1]."""
    return np.append(0, np.cumsum(values))


def _abbreviates(characters: np.ndarray, full_stops: np.ndarray) -> np.ndarray:
    """Return whether an initial or a title precedes each full stop, bool [full_stops]."""
    final = characters[np.maximum(full_stops - 1, 0)]  # a full stop is no capital letter
    found = (final >= ord("A")) & (final <= ord("Z"))
    for title, rows in _behind(characters, full_stops, TITLES):
        outside = full_stops[rows] - len(title) - 1
        words = _in_words().take(characters[np.maximum(outside, 0)], mode="clip")
        found[rows] |= (outside < 0) | ~words
    return found


@cache
def _in_words() -> np.ndarray:
    """Return a table of word characters, bool [0x10000]."""
    return np.array([chr(point).isalnum() or chr(point) == "_" for point in range(0x10000)])
