"""The People's Daily corpus of January 1998: tagged words, one paragraph a line, back to articles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

TAGS = bytes(range(0x80))  # all of ASCII is tags and the spaces between them: words have full-width forms
LATIN = re.compile(r"(?<=[Ａ-Ｚａ-ｚ])/[A-Za-z]+\s+(?=[Ａ-Ｚａ-ｚ])")
WIDE = re.compile(r"[Ａ-Ｚａ-ｚ]")
PICTURE = re.compile(r"（[^）]*图[^）]*）$")
HEADLINE_CHARACTERS = 40


def articles(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield (number of its first line, text) of each article, its paragraphs on lines of their own.

    The file marks no articles. One begins at a headline (a short line that does not end like a sentence) which
    follows a paragraph that does; so a long article with subheads becomes several.
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
    """Return "迈向/v  充满/v" as "迈向充满"; two words in Latin letters keep a space between them."""
    words = _words(line)
    if WIDE.search(words):  # in few lines, and far quicker than LATIN
        words = " ".join(map(_words, LATIN.split(line)))
    return words


def _words(line: str) -> str:
    return line.encode().translate(None, TAGS).decode()


def _headline(paragraph: str) -> bool:
    """Recognise short lines that do not end like a sentence, "（附图片１张）" at their end aside."""
    text = PICTURE.sub("", paragraph)
    return 0 < len(text) <= HEADLINE_CHARACTERS and text[-1] not in "。！？；：，、…）”』" and text[0] not in "（—"
