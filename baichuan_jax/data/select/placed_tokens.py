"""Tokens with their places, without the labels of choices: what the search for test questions compares.

"A. four B. five", "(A) four (B) five", "①four ②five" and "four five" have the same tokens, so a question is found
whatever the labels of its choices are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from baichuan_jax.data.characters import join, points, text_ends
from baichuan_jax.data.dedup.shingles import batches, placed_tokens_of
from baichuan_jax.data.permutation import mix

BASE = np.uint64(0xA24BAED4963EE407)  # odd
BLANK = ord(" ")
# Bits of a character: a capital letter that labels choices; a small one; what follows a small letter that is a label,
# and what precedes it; a sign of a formula, in which letters are variables; a letter or digit of a word; a circled
# number.
CAPITAL, SMALL, AFTER, BEFORE, FORMULA, WORD, CIRCLED = (1 << bit for bit in range(7))


class Placed(NamedTuple):
    """The tokens of texts, concatenated.

    hashes: uint32 [tokens]. starts: int64 [tokens], the offset of each in its text, in characters. counts: int64
    [texts].
    """

    hashes: np.ndarray
    starts: np.ndarray
    counts: np.ndarray


def place(texts: Sequence[str]) -> Placed:
    """Return the tokens (as in `shingles.tokens`) of normalised texts of any length, without the labels of choices."""
    hashes, starts = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    counts, read = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    for owners, pieces in batches(texts):
        stops = text_ends(pieces)
        found, places, numbers = placed_tokens_of(_without_labels(points(join(pieces))), stops)
        lengths = np.diff(stops, prepend=0)
        offsets = np.cumsum(lengths - 1) - (lengths - 1)  # characters before each piece, in this batch
        alone = np.searchsorted(owners, owners)  # the first piece of the same text
        shift = read[owners] + offsets - offsets[alone] - (stops - lengths)
        hashes.append((mix(found, 0) >> np.uint64(32)).astype(np.uint32))
        starts.append(places + np.repeat(shift, numbers))
        np.add.at(counts, owners, numbers)
        np.add.at(read, owners, lengths - 1)
    return Placed(np.concatenate(hashes), np.concatenate(starts), counts)


def runs(hashes: np.ndarray, length: int) -> np.ndarray:
    """Return the hash of each run of `length` successive tokens, uint64 [max(0, tokens - length + 1)]."""
    result = hashes[: max(0, len(hashes) - length + 1)].astype(np.uint64)
    for place in range(1, length):
        result *= BASE
        result += hashes[place : place + len(result)]
    return mix(result, length)


def _without_labels(characters: np.ndarray) -> np.ndarray:
    """Return characters with each label of a choice replaced by a space. The last character is a line end."""
    kinds = _kinds().take(characters, mode="clip")
    places = np.flatnonzero(kinds & (CAPITAL | SMALL | CIRCLED))
    own, after, before = kinds[places], kinds[np.minimum(places + 1, len(kinds) - 1)], kinds[places - 1]
    before = np.where(places > 0, before, BEFORE)
    alone = ((after | before) & (WORD | FORMULA)) == 0
    small = ((after & AFTER) > 0) & ((before & BEFORE) > 0)
    label = ((own & CIRCLED) > 0) | (alone & (((own & CAPITAL) > 0) | small))
    characters = characters.copy()
    characters[places[label]] = BLANK
    return characters


@cache
def _kinds() -> np.ndarray:
    """Return the bits of each character, uint8 [0x10000]."""
    kinds = np.zeros(0x10000, np.uint8)
    alone = 0x2E80  # each ideograph is a word
    kinds[[point for point in range(alone) if chr(point).isalnum()]] |= WORD
    members = {
        CAPITAL: "ABCDEFGH",
        SMALL: "abcdefgh",
        AFTER: ".．)）、:：]】",
        BEFORE: "(（[【 \t\n",
        FORMULA: "$\\{}^_=+*/<>|&",
        CIRCLED: "①②③④⑤⑥⑦⑧⑨⑩",
    }
    for kind, characters in members.items():
        kinds[[ord(character) for character in characters]] |= kind
    return kinds
