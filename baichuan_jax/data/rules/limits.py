"""Thresholds of the rules, per language, each with where it comes from.

Gopher: Rae et al. 2021 (arXiv 2112.11446), appendix A.1. StarCoder: Li et al. 2023 (arXiv 2305.06161), section 3.
Measured: chosen by reading what it removes and keeps in the four demo corpora.
"""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.data.language import Language


@dataclass(frozen=True)
class Limits:
    """Shares are of the characters that are not white space, except bullets and ellipses: of the lines.

    min_word, max_word: mean characters between white space. max_line: characters in the longest line.
    max_repeated_share: characters of lines that stand there already. min_compressed_share: zlib bytes per byte.
    """

    min_letters: int
    max_characters: int = 2_000_000  # Gopher stops at 100,000 words; a long book is about 2M characters
    max_broken_share: float = 0.01  # measured: below it a text with U+FFFD still reads well
    min_letter_share: float = 0.5  # measured: tables of numbers and rows of "!!!!!!" fall below it
    max_digit_share: float = 0.35  # measured: tables of share prices lie above it, news full of dates below
    max_symbol_share: float = 0.25  # measured: friendly reviews end in "~~~~"; Gopher's 0.1 per word removes them
    min_word: float = 0.0
    max_word: float = float("inf")
    max_line: int = 1_000_000
    max_bullet_share: float = 0.9  # Gopher
    max_ellipsis_share: float = 0.3  # Gopher
    max_repeated_share: float = 0.2  # Gopher: characters in duplicate lines
    min_compressed_share: float = 0.25  # measured: no prose compresses below 0.36, the same phrase again does


# min_letters: Gopher wants 50 words; measured: from 8 ideographs on, a review says something.
# min_word, max_word: Gopher. Code, measured: short statements such as "else:" repeat (the standard library reaches
# 0.42), and it compresses to 0.23; StarCoder: at least 25 % letters and digits, lines of at most 1,000 characters.
LIMITS: dict[Language, Limits] = {
    "zh": Limits(min_letters=8),
    "en": Limits(min_letters=50, min_word=3.0, max_word=10.0),
    "code": Limits(
        min_letters=50, min_letter_share=0.25, max_line=1000, max_repeated_share=0.5, min_compressed_share=0.15
    ),
    "other": Limits(min_letters=20),
}
