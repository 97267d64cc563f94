"""The People's Daily corpus of January 1998: tagged words, one paragraph per line, converted to articles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

TAGS = bytes(range(0x80))  # all ASCII is tags and spaces between them: words use full-width forms
LATIN = re.compile(r"(?<=[Ａ-Ｚａ-ｚ])/[A-Za-z]+\s+(?=[Ａ-Ｚａ-ｚ])")
WIDE = re.compile(r"[Ａ-Ｚａ-ｚ]")
PICTURE = re.compile(r"（[^）]*图[^）]*）$")
HEADLINE_CHARACTERS = 40


def articles(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield (number of its first line, text) of each article, one paragraph per line.

    The file does not mark articles. An article begins at a headline (a short line that does not end like a sentence)
    after a paragraph that does; so a long article with subheads becomes several.
    """
    first, paragraphs = 1, []
    for number, line in enumerate(lines, 1):
        paragraph = untagged(line)
        if (
            paragraphs
            and _headline(paragraph)
            and not _headline(paragraphs[-1])
            and paragraphs[-1][-1] not in "，、：；"
        ):
            yield first, "\n".join(paragraphs)
            first, paragraphs = number, []
        if paragraph:
            paragraphs.append(paragraph)
    if paragraphs:
        yield first, "\n".join(paragraphs)


def untagged(line: str) -> str:
    """Return "迈向充满" for "迈向/v  充满/v"; a space stays between two words in Latin letters."""
    words = _words(line)
    if WIDE.search(words):  # few lines match, and it is much faster than LATIN
        words = " ".join(map(_words, LATIN.split(line)))
    return words


def _words(line: str) -> str:
    return line.encode().translate(None, TAGS).decode()


def _headline(paragraph: str) -> bool:
    """Return whether a line is short and does not end like a sentence; a final "（附图片１张）" is ignored."""
    text = PICTURE.sub("", paragraph)
    return 0 < len(text) <= HEADLINE_CHARACTERS and text[-1] not in "。！？；：，、…）”』" and text[0] not in "（—"
