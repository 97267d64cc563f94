"""The index of evaluation sets: the tokens of their rows, and the places of each run of tokens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from baichuan_jax.core.files import write_text
from baichuan_jax.data.dedup.runs import ranges, run_starts
from baichuan_jax.data.dedup.shingles import tokenized
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.select.placed_tokens import place, runs
from baichuan_jax.data.select.records import set_rows
from baichuan_jax.data.select.rows import Row

RUN = 6  # tokens in a run that makes a place a candidate
COMMON = 32  # most places of a run that are kept: a run with more is a stock phrase of questions
PHRASE = 10  # most rows with the same stem; a stem of more is a stock phrase too (Brown et al. 2020)
TABLE = 27  # bits of a hash that are looked up first, in a bitmap of 16 MB
ROWS = 2048  # rows processed at once
NAMED, BEGINNING = 5, 300  # rows named for being too short; characters of a row that are kept
# Kinds of parts of a row: a question with its choices, a passage, an answer or solution.
CORE, CONTEXT, EXTRA = range(3)

# row: number over all sets. first, size: the tokens of the part. stem: how many of them, from the first on, belong to
# the question and not to its choices. alone: whether the stem without the choices identifies the question.
PART = np.dtype([("row", "<i4"), ("kind", "u1"), ("first", "<i8"), ("size", "<i4"), ("stem", "<i4"), ("alone", "?")])
ARRAYS = ("parts", "tokens", "hashes", "starts", "postings", "sets")
TEXTS = "rows.jsonl"


@dataclass(frozen=True)
class EvaluationIndex:
    """The rows of evaluation sets by their runs of RUN tokens: an inverted index.

    parts: PART [parts]. tokens: uint32, of all parts. hashes: uint64 [runs], sorted, distinct. postings: int64, places
    among the tokens, those of run r from starts[r] to starts[r + 1]. sets: int16 [rows], the number of the set of each
    row.
    """

    parts: np.ndarray
    tokens: np.ndarray
    hashes: np.ndarray
    starts: np.ndarray
    postings: np.ndarray
    sets: np.ndarray

    def look_up(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (index in `hashes`, place of that run among the tokens), int64 [pairs] each, in order."""
        maybe = np.flatnonzero(self._table[_slots(hashes) >> 3] & _bits(hashes))
        if not len(self.hashes) or not len(maybe):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        at = np.minimum(np.searchsorted(self.hashes, hashes[maybe]), len(self.hashes) - 1)
        hit = self.hashes[at] == hashes[maybe]
        at, maybe = at[hit], maybe[hit]
        numbers = self.starts[at + 1] - self.starts[at]
        return np.repeat(maybe, numbers), self.postings[ranges(self.starts[at], numbers)]

    @cached_property
    def _table(self) -> np.ndarray:
        """Return a bitmap of the first TABLE bits of all hashes: a bit is set if any run has it."""
        table = np.zeros(1 << (TABLE - 3), np.uint8)
        np.bitwise_or.at(table, _slots(self.hashes) >> 3, _bits(self.hashes))
        return table

    @cached_property
    def runs_of_part(self) -> np.ndarray:
        """The number of runs of each part that are looked up, int64 [parts]: not all of its common ones."""
        parts = np.searchsorted(self.parts["first"], self.postings, side="right") - 1
        return np.bincount(parts, minlength=len(self.parts))

    def save(self, directory: Path) -> None:
        """Write the arrays, each to its own file, so that they can be mapped and shared by processes."""
        for name in ARRAYS:
            np.save(directory / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, directory: Path) -> EvaluationIndex:
        """Return the index that `save` wrote."""
        return cls(*(np.load(directory / f"{name}.npy", mmap_mode="r") for name in ARRAYS))


def index_sets(
    patterns: Iterable[str], least: int, directory: Path, convert: Callable[[str], str] | None = None
) -> list[dict[str, Any]]:
    """Save the index of the sets at these paths in a directory, with the beginning of each row.

    least: least tokens of a row that is searched for. convert: the conversion of the documents (`rules.chinese`).
    Return for each set {"strings", "rows", "searched", "too_short", "short": [{"source", "text"} of a few of those]}.
    Raise UserError if a set cannot be read.
    """
    prepare = normalize if convert is None else lambda text: convert(normalize(text))
    parts, tokens, sets, counts, lines = [np.empty(0, PART)], [np.empty(0, np.uint32)], [], [], []
    for number, pattern in enumerate(patterns):
        count: dict[str, Any] = {"strings": 0, "rows": 0, "searched": 0, "too_short": 0, "short": []}
        rows = iter(set_rows(pattern))
        while batch := list(islice(rows, ROWS)):
            found, hashes = _parts([row for _, row in batch], least, prepare)
            searched = np.zeros(len(batch), bool)
            searched[found["row"]] = True
            named = [{"source": source, "text": _beginning(row)} for source, row in batch]
            count["strings"] += sum(row.strings for _, row in batch)
            count["rows"] += len(batch)
            count["searched"] += int(searched.sum())
            count["too_short"] += int((~searched).sum())
            short = [named[at] for at in np.flatnonzero(~searched)[:NAMED]]
            count["short"] = (count["short"] + short)[:NAMED]
            found["row"] += len(lines)
            found["first"] += sum(map(len, tokens))
            parts.append(found)
            tokens.append(hashes)
            sets += [number] * len(batch)
            lines += [json.dumps(row, ensure_ascii=False) + "\n" for row in named]
        counts.append(count)
    write_text(directory / TEXTS, "".join(lines))
    _index(np.concatenate(parts), np.concatenate(tokens), np.array(sets, np.int16)).save(directory)
    return counts


def questions(directory: Path, rows: Sequence[int]) -> dict[int, dict[str, str]]:
    """Return {row: {"source", "text"}} for rows of the index in a directory; the text is its beginning."""
    wanted = set(rows)
    if not wanted:
        return {}
    with (directory / TEXTS).open(encoding="utf-8", newline="\n") as file:
        return {number: json.loads(line) for number, line in enumerate(file) if number in wanted}


def sets_of(directory: Path, rows: np.ndarray) -> np.ndarray:
    """Return the number of the set of each of these rows of the index in a directory, int16 [rows]."""
    return np.load(directory / "sets.npy", mmap_mode="r")[rows]


def _parts(rows: Sequence[Row], least: int, prepare: Callable[[str], str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (PART [parts], tokens uint32) of rows; `row` is an index, and `first` a place in these tokens."""
    segments = [segment for row in rows for segment in (row.context, row.stem, row.choices)]
    texts = [prepare("\n".join(segment)) for segment in segments]
    extras = [(number, prepare(text)) for number, row in enumerate(rows) for text in row.extras]
    placed = place([*texts, *(text for _, text in extras)])
    counts = placed.counts
    starts, sizes = np.cumsum(counts) - counts, counts[: 3 * len(rows)].reshape(-1, 3)
    printed = np.zeros(len(texts), np.int64)  # tokens including labels: a capital letter may be a word
    for part in tokenized(texts):
        np.add.at(printed, part.owners, part.counts)
    found = []
    for number, (context, stem, choices) in enumerate(sizes.tolist()):
        labelled = int(printed[3 * number : 3 * number + 3].sum())
        if labelled < least or context + stem + choices < RUN:
            continue
        first = int(starts[3 * number])
        if labelled - printed[3 * number] < least:
            found.append((number, CORE, first, context + stem + choices, context + stem, context + stem >= least))
            continue
        found.append((number, CORE, first + context, stem + choices, stem, stem >= least))
        if context >= least:
            found.append((number, CONTEXT, first, context, context, True))
    searched = {part[0] for part in found}
    for (number, _), first, size in zip(extras, starts[3 * len(rows) :].tolist(), counts[3 * len(rows) :].tolist()):
        if number in searched and size >= least:
            found.append((number, EXTRA, first, size, size, True))
    return np.array(found, PART), placed.hashes


def _index(parts: np.ndarray, tokens: np.ndarray, sets: np.ndarray) -> EvaluationIndex:
    """Return the index of parts, up to COMMON places of each run."""
    parts = parts[np.argsort(parts["first"], kind="stable")]
    stems = [tokens[first : first + stem].tobytes() for first, stem in parts[["first", "stem"]].tolist()]
    number = Counter(stems)
    parts["alone"] &= np.fromiter((number[stem] <= PHRASE for stem in stems), bool, len(stems))
    numbers = np.maximum(parts["size"] - RUN + 1, 0).astype(np.int64)
    places = ranges(parts["first"], numbers)
    hashes = runs(tokens, RUN)[places]
    order = np.argsort(hashes, kind="stable")
    hashes, places = hashes[order], places[order]
    first = run_starts(hashes)
    sizes = np.diff(first, append=len(hashes))
    kept = np.arange(len(hashes)) - np.repeat(first, sizes) < COMMON
    starts = np.append(0, np.cumsum(np.minimum(sizes, COMMON)))
    return EvaluationIndex(parts, tokens, hashes[first], starts, places[kept], sets)


def _beginning(row: Row) -> str:
    return "\n".join((*row.stem, *row.choices, *row.context))[:BEGINNING]


def _slots(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(64 - TABLE)).astype(np.int64)


def _bits(hashes: np.ndarray) -> np.ndarray:
    return np.uint8(1) << (_slots(hashes) & 7).astype(np.uint8)
