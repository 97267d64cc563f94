"""The share of a text that is repetition.

Gopher (Rae et al. 2021, arXiv 2112.11446, table A1) bounds the share of characters in the most frequent 2- to 4-grams
and in duplicate 5- to 10-grams. Here one number separates the same texts: the share of characters in duplicate runs of
about five words, counted in characters, since Chinese has no spaces. A phrase that is repeated many times repeats its
long runs too; repeated short runs are names.
"""

from __future__ import annotations

import numpy as np

from baichuan_jax.data.characters import points
from baichuan_jax.data.language import Language, middle

WIDTH: dict[Language, int] = {"zh": 16, "en": 32, "code": 32, "other": 32}  # characters in a run, a power of two
SAMPLE = 1 << 14  # characters examined, from the middle
# A quick test at a few places decides whether to count: whether half a run there also occurs shortly before.
PLACES, BEFORE = 10, 4000  # places tried; characters before one
GOLDEN = 0.618034  # its multiples modulo 1 are spread evenly and have no period that a text might have
SHARES = [place * GOLDEN % 1 for place in range(1, PLACES + 1)]  # of the text before each place
SHORT = 320  # characters; a shorter text is tested at its end
SUSPICIOUS = 3  # one place in so many repeats
ENOUGH_MISSES = PLACES - PLACES // SUSPICIOUS  # non-repeating places after which the text is not repetitive
BASE = np.array([0x9E3779B97F4A7C15], np.uint64)  # odd, so invertible; an array, whose powers may overflow
PLACE = np.uint64(SAMPLE - 1)  # the bits of a place in the sample


def repeated_share(text: str, language: Language) -> float:
    """Return the share of characters in runs that occurred before in the text.

    0 if the quick test finds no repetition: counting costs more than all other rules together.
    """
    text, width = middle(text, SAMPLE), WIDTH[language]
    return _share(text, width) if _is_suspicious(text, width // 2) else 0.0


def _is_suspicious(text: str, width: int) -> bool:
    if len(text) < SHORT:
        return width < len(text) and text.find(text[-width:], 0, -1) >= 0
    misses, room = 0, len(text) - width
    for share in SHARES:
        at = int(share * room)
        if text.find(text[at : at + width], at - BEFORE if at > BEFORE else 0, at + width - 1) < 0:
            misses += 1
            if misses == ENOUGH_MISSES:
                return False  # whatever the places left show
    return True


def _share(text: str, width: int) -> float:
    """Return the share of characters in runs of `width` characters that occurred before; half the width if short."""
    text = " ".join(text.split())  # drawings with many spaces are not repetition
    hashes = points(text).astype(np.uint64)
    characters, size, power = len(hashes), 1, BASE
    while size < width and len(hashes) > 3 * size:
        hashes = hashes[:-size] * power + hashes[size:]  # of runs of twice the length
        size, power = 2 * size, power * power
    # Hash and place in one number: so the fastest sort, which need not be stable, keeps the order of the places. The
    # high bits of the product depend on the whole hash.
    ordered = np.sort(hashes * BASE & ~PLACE | np.arange(len(hashes), dtype=np.uint64))
    again = (ordered[1:] & PLACE)[ordered[1:] ^ ordered[:-1] <= PLACE].astype(np.int64)
    changes = np.bincount(again, minlength=characters + 1) - np.bincount(again + size, minlength=characters + 1)
    return np.count_nonzero(np.cumsum(changes)) / max(characters, 1)
