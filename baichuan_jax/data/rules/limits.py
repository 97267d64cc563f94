"""Thresholds of the rules for documents, per language, each with its source.

Gopher: Rae et al. 2021 (arXiv 2112.11446), appendix A.1. C4: Raffel et al. 2020 (arXiv 1910.10683), section 2.2.
FineWeb: Penedo et al. 2024 (arXiv 2406.17557). StarCoder: Li et al. 2023 (arXiv 2305.06161), section 3.
Measured: chosen by reading what it removes and keeps in reviews, news, speeches, manuals, novels, annals, source code
and C4. Where a published value removes good manuals or anything Chinese, the measured one is looser and says so.

Published rules that are not used. Share of ideographs (WanJuan, SkyPile): here a text with one letter in five is
Chinese, and good manuals have no more. Stop words (Gopher): `language.identify` requires them. Punctuation at the ends
of lines (C4, FineWeb): headings, verses and tables have none. Much punctuation: then there are few letters. No "{"
(C4): manuals have some. Repeated paragraphs (Gopher): their lines repeat too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache

import numpy as np

from baichuan_jax.data.language import LANGUAGES, Language

ANY = 1e9  # more than any text has


@dataclass(frozen=True)
class Limits:
    """Shares are of characters that are not white space; those of bullets, ellipses and loose lines are of lines.

    min_word, max_word: mean characters between white space. max_sentence: mean characters for each sentence or line;
    min_punctuation: of texts with PROSE letters or more. min_verse, max_verse: mean characters of lines that need none.
    max_line: characters in the longest line. max_loose_share: short lines without a final mark. max_repeated_share:
    characters of repeated lines, if little is left without them; max_refrain_share: however much is left.
    max_repeated_runs: characters in repeated runs (`repetition`). max_pruned_share: characters that `prune` removes.
    """

    min_letters: int
    ideograph: int = 4  # letters that an ideograph counts as; measured: a word has five letters, or two ideographs
    max_characters: int = 2_000_000  # Gopher stops at 100,000 words; a long book is about 2M characters
    max_broken_share: float = 0.01  # measured: below it a text with U+FFFD is still readable
    max_few_broken_share: float = 0.05  # measured: of one or two such characters, in short reviews
    min_letter_share: float = 0.5  # measured: tables of numbers and rows of "!!!!!!" fall below it
    max_digit_share: float = 0.35  # measured: tables of share prices lie above it, news full of dates below
    max_symbol_share: float = 0.25  # measured: friendly reviews end in "~~~~"; Gopher's 0.1 per word removes them
    min_punctuation: float = 0.0
    min_verse: float = ANY
    max_verse: float = 0.0
    min_word: float = 0.0
    max_word: float = ANY
    max_sentence: float = ANY
    max_line: int = 1_000_000
    max_bullet_share: float = 0.9  # Gopher
    max_ellipsis_share: float = 0.3  # Gopher
    max_few_ellipses_share: float = 0.7  # measured: of a few lines; choices of questions and news end so too
    max_loose_share: float = 0.98  # measured: FineWeb's 0.67 of short lines removes tables of contents and poems
    max_repeated_share: float = 0.4  # measured: Gopher's 0.2 and even 0.3 remove reference pages of good manuals
    max_refrain_share: float = 0.65  # measured: songs with a refrain stay below it, as references with notes do
    max_repeated_runs: float = 0.65  # measured: prose stays below 0.3, all but a few manuals below 0.6
    max_placeholders: float = 0.001  # measured: "lorem ipsum" for each character; C4 allows none, and manuals quote it
    max_pruned_share: float = 0.5  # measured: pages that are links and notices with a heading


# min_letters: Gopher requires 50 words; measured: from 8 ideographs on, a review says something.
# min_word, max_word: Gopher, whose 10 removes reference pages with long names.
# max_sentence: measured: prose stays below 120 characters in Chinese, 260 in English; lists of key words have no end.
# min_punctuation: measured: prose stays above 0.02 in Chinese and 0.01 in English, reviews by those who write spaces
# instead near 0.003.
# min_verse, max_verse: measured: songs and poems; lines of menus are shorter, lists of headlines longer.
# Code, measured: short statements such as "else:" repeat (the standard library reaches 0.42), and manuals with examples
# have paragraphs of 4,000 characters in a line; StarCoder, whose lines end at 1,000: at least 25 % letters and digits.
LIMITS: dict[Language, Limits] = {
    "zh": Limits(min_letters=8, ideograph=1, max_sentence=400, min_punctuation=0.002, min_verse=5.0, max_verse=13.0),
    "en": Limits(min_letters=50, max_sentence=1000, min_punctuation=0.002, min_word=3.0, max_word=12.0),
    "code": Limits(
        min_letters=50,
        min_letter_share=0.25,
        max_line=5000,
        max_loose_share=1.0,
        max_repeated_share=0.5,
        max_repeated_runs=0.8,
    ),
    "other": Limits(min_letters=20, max_sentence=2000),
}


def limits_of(languages: Sequence[Language]) -> Limits:
    """Return the limits of texts in these languages; each is an array [texts]."""
    numbers = np.array(list(map(LANGUAGES.index, languages)), np.int64)
    return Limits(*_columns()[:, numbers])


@cache
def _columns() -> np.ndarray:
    """Return the limits, float64 [fields, LANGUAGES]."""
    return np.array([astuple(LIMITS[language]) for language in LANGUAGES]).T
