"""Decontamination: find the questions of evaluation sets in documents.

A run of tokens that a document shares with a question is only a candidate (Brown et al. 2020, appendix C, stop there):
a question that quotes a classic shares its quotation with the classic. So the question is aligned with the place, and
the share of it that is found there decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from baichuan_jax.data.dedup.runs import ranges, run_starts
from baichuan_jax.data.permutation import mix
from baichuan_jax.data.select.index import CORE, RUN, EvaluationIndex
from baichuan_jax.data.select.placed_tokens import Placed, place, runs

SHARED = 3  # tokens of a run that counts as shared, once a question is aligned with a place
ENOUGH = 8  # a part is compared if at least one in so many of its tokens begins a run that it shares with a place
REPEATED = 100  # most occurrences of a run of a row in a chunk of one text: bounds the work on "1 1 1 1 ..."
CANDIDATES, SPAN = 6, 64  # most parts compared with one span of so many tokens: bounds the work on near-equal rows
CHUNK = 1 << 18  # tokens of documents looked up at once
WORK = 1 << 20  # tokens of places that questions are aligned with at once

# Least share of the tokens of a part for a match; a question without its choices must match as a whole. What clean text
# contains of questions is in experiments/LOG.md: up to 0.89 of a stem, which quotes it, and no choices.
STEM, CHOICES, QUESTION = 0.75, 0.5, 0.75
WHOLE = 0.95  # of a stem, to match as a whole; and no two successive tokens may be missing
LOOSE = 0.8  # of the single tokens of choices, where they are too short for runs
PASSAGE, PASSAGE_TOKENS = 0.9, 64  # a passage or solution by itself: the share, and its least tokens
BESIDE = 0.5  # of a passage or solution whose question is found in the same text

# text: index of the document. start, end: characters. row: number of the row, over all sets.
MATCH = np.dtype([("text", "<i8"), ("start", "<i8"), ("end", "<i8"), ("row", "<i4")])
# A part of a row aligned with a place. text: index. first, end: the tokens of the place. start, stop: the first of them
# that the part has too, and the one after the last. stem, choices: tokens of each that are in shared runs. gap: the
# longest run of tokens of the stem that are not. loose: tokens of the choices found there in any order.
COLUMNS = ("text", "part", "first", "end", "start", "stop", "stem", "choices", "gap", "loose")
LAID = np.dtype([(name, "<i8") for name in COLUMNS])
# Hits of the runs of a part in a text. low, high: the first and last token at which the part would begin, by these
# hits. bucket: of these places. hits: number of runs.
PLACE = np.dtype([(name, "<i8") for name in ("text", "part", "bucket", "low", "high", "hits")])


def find_questions(index: EvaluationIndex, texts: Sequence[str]) -> np.ndarray:
    """Return MATCH [matches], sorted by text and place: the rows of the sets found in normalised texts."""
    if not len(index.hashes):
        return np.zeros(0, MATCH)
    placed = place(texts)
    laid = lay(index, placed)
    laid = laid[stands(index, laid)]
    matches = np.zeros(len(laid), MATCH)
    matches["text"], matches["row"] = laid["text"], index.parts["row"][laid["part"]]
    matches["start"] = placed.starts[laid["start"]]
    matches["end"] = placed.starts[laid["stop"] - 1] + 1
    return np.sort(matches, order=["text", "start", "end", "row"])


def stands(index: EvaluationIndex, laid: np.ndarray) -> np.ndarray:
    """Return for each LAID whether enough of the part is found at the place, bool."""
    parts = index.parts[laid["part"]]
    stem, choices = parts["stem"], parts["size"] - parts["stem"]
    core = parts["kind"] == CORE
    of_stem, of_choices = laid["stem"] / np.maximum(stem, 1), laid["choices"] / np.maximum(choices, 1)
    whole = (stem >= SHARED) & (of_stem >= WHOLE) & (laid["gap"] <= 1)
    total = laid["stem"] + laid["choices"]
    both = (of_stem >= STEM) & (of_choices >= CHOICES) & (total >= QUESTION * parts["size"])
    both |= total == parts["size"]
    plain = (choices == 0) & (of_stem >= QUESTION)
    asked = core & (plain | both | whole & (parts["alone"] | (laid["loose"] >= LOOSE * choices)))
    alone = ~core & (of_stem >= PASSAGE) & (stem >= PASSAGE_TOKENS)
    pairs = laid["text"] * len(index.sets) + parts["row"]
    beside = ~core & (of_stem >= BESIDE) & np.isin(pairs, pairs[asked])
    return (laid["stop"] > laid["start"]) & (asked | alone | beside)


def lay(index: EvaluationIndex, placed: Placed) -> np.ndarray:
    """Return LAID [places]: all candidates in texts, compared."""
    found = _candidates(index, placed)
    sizes = np.cumsum(found["end"] - found["first"] + index.parts["size"][found["part"]])
    cuts = (np.flatnonzero(np.diff(sizes // WORK)) + 1).tolist()
    for first, last in pairwise([0, *cuts, len(found)]):
        _compare(index, placed, found[first:last])
    return found


def _candidates(index: EvaluationIndex, placed: Placed) -> np.ndarray:
    """Return LAID [places] with only `text`, `part`, `first` and `end` filled in: places with enough runs of a part."""
    stops = np.cumsum(placed.counts)
    hits = [_hits(index, placed.hashes, start, stops) for start in range(0, len(placed.hashes), CHUNK)]
    places = _merged(np.concatenate([np.empty(0, PLACE), *hits]))
    size = index.parts["size"][places["part"]].astype(np.int64)
    enough = places["hits"] >= np.maximum(1, size // ENOUGH)
    places = _best(index, places[enough])
    size = index.parts["size"][places["part"]].astype(np.int64)
    slack = size // 8 + 8
    found = np.zeros(len(places), LAID)
    found["text"], found["part"] = places["text"], places["part"]
    found["first"] = np.maximum(places["low"] - slack, (stops - placed.counts)[places["text"]])
    found["end"] = np.minimum(places["high"] + size + slack, stops[places["text"]])
    return found


def _best(index: EvaluationIndex, places: np.ndarray) -> np.ndarray:
    """Return the CANDIDATES places of each span of a text whose parts have the largest share of their runs there."""
    span = places["text"] << 32 | places["low"] // SPAN
    share = places["hits"] / index.runs_of_part[places["part"]]
    order = np.lexsort((-share, span))
    first = run_starts(span[order])
    rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return places[np.sort(order[rank < CANDIDATES])]


def _hits(index: EvaluationIndex, hashes: np.ndarray, start: int, stops: np.ndarray) -> np.ndarray:
    """Return PLACE [places]: the runs of one chunk that are in the index."""
    at, postings = index.look_up(runs(hashes[start : start + CHUNK + RUN - 1], RUN))
    at += start
    text = np.searchsorted(stops, at, side="right")
    whole = at + RUN <= stops[text]
    at, postings, text = at[whole], postings[whole], text[whole]
    pairs = text * len(index.tokens) + postings
    order = np.argsort(pairs, kind="stable")
    first = run_starts(pairs[order])
    few = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order))) < REPEATED
    at, postings, text = (column[order[few]] for column in (at, postings, text))
    places = np.ones(len(at), PLACE)
    part = np.searchsorted(index.parts["first"], postings, side="right") - 1
    places["text"], places["part"] = text, part
    places["low"] = places["high"] = at - (postings - index.parts["first"][part])
    places["bucket"] = places["low"] // np.maximum(16, index.parts["size"][part] // 2)
    return _merged(places)


def _merged(places: np.ndarray) -> np.ndarray:
    """Return PLACE with those of the same text, part and bucket merged, sorted by these."""
    places = places[np.lexsort((places["bucket"], places["part"], places["text"]))]
    first = run_starts(places[["text", "part", "bucket"]])
    if not len(first):
        return places
    united = places[first]
    united["hits"] = np.add.reduceat(places["hits"], first)
    united["low"] = np.minimum.reduceat(places["low"], first)
    united["high"] = np.maximum.reduceat(places["high"], first)
    return united


def _compare(index: EvaluationIndex, placed: Placed, found: np.ndarray) -> None:
    """Fill in how much of the parts is found at the places."""
    sizes = found["end"] - found["first"]
    parts = index.parts[found["part"]]
    lengths = parts["size"].astype(np.int64)
    places = ranges(found["first"], sizes)
    here, there = placed.hashes[places], index.tokens[ranges(parts["first"], lengths)]
    here_keys, there_keys = (_keys(*pair, SHARED) for pair in ((here, sizes), (there, lengths)))
    shared = _spread(_among(there_keys, here_keys), lengths)
    begins = np.cumsum(lengths) - lengths
    stops, middle = begins + lengths, begins + parts["stem"]
    sums = np.append(0, np.cumsum(shared))
    found["stem"], found["choices"] = sums[middle] - sums[begins], sums[stops] - sums[middle]
    found["gap"] = _longest_gap(shared, begins, middle)
    loose = np.append(0, np.cumsum(_among(_keys(there, lengths, 1), _keys(here, sizes, 1))))
    found["loose"] = loose[stops] - loose[middle]
    in_part = np.flatnonzero(_spread(_among(here_keys, there_keys), sizes))
    owners = np.repeat(np.arange(len(found)), sizes)[in_part]
    first = run_starts(owners)
    last = np.append(first[1:], len(owners))[: len(first)] - 1
    found["start"][owners[first]] = places[in_part[first]]
    found["stop"][owners[last]] = places[in_part[last]] + 1


def _keys(tokens: np.ndarray, sizes: np.ndarray, length: int) -> np.ndarray:
    """Return the key of each run of `length` tokens in sequences of these sizes, uint64 [runs].

    Keys are equal if the runs are equal, their sequences have the same number, and equally many equal runs precede
    them in these: so one run matches one other.
    """
    numbers = np.maximum(sizes - length + 1, 0)
    owners = np.repeat(np.arange(len(sizes)), numbers)
    keys = mix(runs(tokens, length)[ranges(np.cumsum(sizes) - sizes, numbers)] ^ mix(owners.astype(np.uint64), 1), 2)
    order = np.argsort(keys, kind="stable")
    first = run_starts(keys[order])
    before = np.empty(len(keys), np.uint64)
    before[order] = np.arange(len(keys)) - np.repeat(first, np.diff(first, append=len(keys)))
    return mix(keys + before, 3)


def _among(keys: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which keys are among others, bool. `np.isin` is ten times slower for large numbers."""
    if not len(others):
        return np.zeros(len(keys), bool)
    ordered = np.sort(others)
    return ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys


def _spread(shared: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return which tokens are in a shared run, bool [tokens]. shared: bool, of the runs of SHARED in each sequence."""
    numbers = np.maximum(sizes - SHARED + 1, 0)
    at = ranges(np.cumsum(sizes) - sizes, numbers)[shared]
    covered = np.zeros(int(sizes.sum()), bool)
    for offset in range(SHARED):
        covered[at + offset] = True
    return covered


def _longest_gap(shared: np.ndarray, begins: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return the longest run of tokens that are not shared in each sequence, int64."""
    numbers = np.arange(len(shared))
    latest = np.maximum.accumulate(np.where(shared, numbers, -1))  # the shared token at or before each
    owners, at = np.repeat(np.arange(len(begins)), stops - begins), ranges(begins, stops - begins)
    longest = np.zeros(len(begins), np.int64)
    np.maximum.at(longest, owners, at - np.maximum(latest[at], begins[owners] - 1))
    return longest
