"""The spans cut out of a document around the test questions in it, as in appendix C of Brown et al. 2020.

They remove a question with 200 characters on either side, split the document there, and drop pieces shorter than 200
characters. Here a cut ends where a sentence or a line does, so that the rest reads as text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from baichuan_jax.data.rules.sentences import split_sentences as cut_sentences

WINDOW = 200  # most characters cut on either side of a question
PIECE = 200  # least characters of a piece that stays
LEFT = 0.25  # least share of the characters that must be left; else the document is removed
CONTEXT = 300  # characters beyond a window that are read to see where its sentences end
CLAUSE = re.compile(r"[\s,;，；、]")

# document: index of its text. start, end: characters. row: number of the row of the first question in it.
CUT = np.dtype([("document", "<i8"), ("start", "<i8"), ("end", "<i8"), ("row", "<i4")])


def question_cuts(texts: Sequence[str], matches: np.ndarray) -> np.ndarray:
    """Return CUT [cuts], sorted, of texts with these matches (MATCH, sorted by text and place).

    A document of which too little would be left has a single cut, all of it.
    """
    spans = _merged(matches["text"], matches["start"], matches["end"], matches["row"], 2 * WINDOW)
    starts, stops = _bounds(texts, spans)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))[spans["document"]]
    starts = np.where(starts < PIECE, 0, starts)
    stops = np.where(lengths - stops < PIECE, lengths, stops)
    found = _merged(spans["document"], starts, stops, spans["row"], PIECE - 1)
    documents, first = np.unique(found["document"], return_index=True)
    gone = np.add.reduceat(found["end"] - found["start"], first) if len(first) else first
    whole = np.fromiter((len(texts[document]) for document in documents), np.int64, len(documents))
    few = (whole - gone) < LEFT * whole
    kept = np.repeat(~few, np.diff(first, append=len(found)))
    kept[first] = True
    found["start"][first[few]], found["end"][first[few]] = 0, whole[few]
    return found[kept]


def pieces(length: int, starts: Sequence[int], stops: Sequence[int]) -> list[tuple[int, int]]:
    """Return (start, end) of the pieces of a text between cuts, without empty ones. length: of the text."""
    bounds = zip([0, *stops], [*starts, length])
    return [(start, end) for start, end in bounds if start < end]


def in_cuts(cuts: np.ndarray, documents: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return which spans of documents overlap a cut, bool [spans]. cuts: CUT, sorted."""
    if not len(cuts):
        return np.zeros(len(documents), bool)
    keys = cuts["document"].astype(np.uint64) << np.uint64(32) | cuts["start"].astype(np.uint64)
    wanted = documents.astype(np.uint64) << np.uint64(32) | stops.astype(np.uint64)
    last = np.maximum(np.searchsorted(keys, wanted) - 1, 0)  # the last cut that begins before the span ends
    before = keys[last] < wanted
    return before & (cuts["document"][last] == documents) & (cuts["end"][last] > starts)


def _merged(documents: np.ndarray, starts: np.ndarray, stops: np.ndarray, rows: np.ndarray, least: int) -> np.ndarray:
    """Return CUT of spans sorted by document and start; those at most `least` characters apart are merged."""
    found = np.zeros(len(documents), CUT)
    found["document"], found["start"], found["end"], found["row"] = documents, starts, stops, rows
    if not len(found):
        return found
    # The furthest end so far in the document: offsets keep one document's ends below those of the next.
    offsets = documents.astype(np.int64) * (int(stops.max()) + least + 2)
    furthest = np.maximum.accumulate(stops + offsets)
    first = np.flatnonzero(np.append(True, (starts + offsets)[1:] > furthest[:-1] + least))
    result = found[first]
    result["end"] = (furthest - offsets)[np.append(first[1:], len(found)) - 1]
    return result


def _bounds(texts: Sequence[str], spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (starts, stops) of the cuts for spans, int64 [spans]: the farthest sentence ends in their windows."""
    rows = spans[["document", "start", "end"]].tolist()
    lows = [max(0, start - WINDOW - CONTEXT) for _, start, _ in rows]
    highs = [min(len(texts[document]), end + WINDOW + CONTEXT) for document, _, end in rows]
    snippets = [texts[row[0]][low:high] for row, low, high in zip(rows, lows, highs)]
    found = cut_sentences(snippets)
    first = np.searchsorted(found.texts, np.arange(len(rows) + 1))
    relative = found.starts - found.first[found.texts]
    starts, stops = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    for number, ((document, start, end), low) in enumerate(zip(rows, lows)):
        bounds = relative[first[number] : first[number + 1]] + low
        inside = bounds[(bounds >= start - WINDOW) & (bounds <= start) & ((bounds > low) | (low == 0))]
        starts[number] = inside[0] if len(inside) else _clause(texts[document], max(0, start - WINDOW), start, True)
        inside = bounds[(bounds >= end) & (bounds <= end + WINDOW)]
        whole = len(texts[document])
        if whole <= end + WINDOW:
            stops[number] = whole
        else:
            stops[number] = inside[-1] if len(inside) else _clause(texts[document], end, end + WINDOW, False)
    return starts, stops


def _clause(text: str, low: int, high: int, first: bool) -> int:
    """Return where the first (or last) clause or word between two places begins, else `low` (or `high`)."""
    found = [match.end() for match in CLAUSE.finditer(text, low, high)]
    if not found:
        return low if first else high
    return found[0] if first else found[-1]
