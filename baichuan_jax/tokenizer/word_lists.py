"""Words by their frequency in a language, as text to train a tokenizer on.

The lists are those of wordfreq (Speer 2022): Wikipedia, subtitles, news, books, the web and social media, counted
until 2021. BPE depends on word frequencies and not on word order, so a list replaces much text.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.extras import install_extra

LANGUAGES = ("zh", "en")
CAPITAL = 8  # one in so many occurrences of an English word is capitalised; the lists are in lower case
WORDS_IN_LINE = 200  # English words


def frequencies(language: str) -> dict[str, float]:
    """Return {word: share of all words}, most frequent first. Raise UserError if the lists are not installed."""
    try:
        from wordfreq import get_frequency_dict
    except ImportError:
        raise UserError(f"TokenizerConfig.words needs word lists: {install_extra('demo')}, or set it to 0") from None
    found = get_frequency_dict(language, "large")
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def word_lines(language: str, size: float) -> Iterator[str]:
    """Yield lines of words, each word as often as `size` bytes of text hold it.

    A line is one Chinese word, or WORDS_IN_LINE English ones.
    """
    shares = frequencies(language)
    gap = 1 if language == "en" else 0
    total = size / sum(share * (len(word.encode()) + gap) for word, share in shares.items())
    words = _words(shares, total, capitals=language == "en")
    if language != "en":
        yield from words
        return
    while line := list(islice(words, WORDS_IN_LINE)):
        yield " " + " ".join(line)


def _words(shares: dict[str, float], total: float, capitals: bool) -> Iterator[str]:
    for word, share in shares.items():
        for number in range(round(share * total)):
            yield word.capitalize() if capitals and number % CAPITAL == CAPITAL - 1 else word
