"""Real Chinese sentences whose names are known: of the tagged newspaper of the demo corpora, or of a CLUENER file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.sources.demo import demo_files

TAGS = {"nr": "person", "ns": "place", "nt": "organisation", "nz": "other"}  # of the People's Daily corpus
WORD = re.compile(r"([^\s/]+)/([A-Za-z]+)")
ENDS = "。！？；"  # of a sentence
SURNAME, PERSON = 2, 4  # characters of a surname, and of a surname with a given name, at most
NAME = re.compile(r"[\u4e00-\u9fff]{2,6}")


@dataclass(frozen=True)
class Name:
    """A name in a sentence. kind: "person", "place", ...; start: of its characters in the text."""

    text: str
    kind: str
    start: int


@dataclass(frozen=True)
class Sentence:
    """A sentence with all its names, in the order of the text."""

    text: str
    names: tuple[Name, ...]

    @property
    def carrier(self) -> str:
        """The text with its names left out."""
        cuts = [0, *(place for name in self.names for place in (name.start, name.start + len(name.text))), None]
        return "_".join(self.text[start:end] for start, end in zip(cuts[::2], cuts[1::2]))


def read_sentences(file: str) -> Iterator[Sentence]:
    """Yield the sentences of a file in CLUENER's layout; with "", those of the newspaper among the demo corpora."""
    if file:
        yield from _of_cluener(Path(file))
        return
    for path in demo_files("zh_news"):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield from tagged_sentences(line)


def tagged_sentences(line: str) -> Iterator[Sentence]:
    """Yield the sentences of a line of tagged words. Names are words with a tag of TAGS.

    The corpus tags a surname and a given name as two words; here two neighbours of at most 2 and 4 characters are one.
    """
    names: list[Name] = []
    text, before = "", ""  # before: a word that may be a surname
    for word, tag in WORD.findall(line):
        if tag == "nr" and before and len(before + word) <= PERSON:
            names[-1] = Name(before + word, "person", names[-1].start)
            before = ""
        elif tag in TAGS:
            names.append(Name(word, TAGS[tag], len(text)))
            before = word if tag == "nr" and len(word) <= SURNAME else ""
        else:
            before = ""
        text += word
        if word in ENDS:
            yield Sentence(text, tuple(names))
            text, names, before = "", [], ""
    if text:
        yield Sentence(text, tuple(names))


def _of_cluener(path: Path) -> Iterator[Sentence]:
    """Yield the sentences of {"text", "label": {kind: {name: [[first, last]]}}} lines. Raise UserError on others."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"EntityRepair.sentences = {str(path)!r}: cannot be read ({error})") from error
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            spans = [
                Name(name, kind, first)
                for kind, names in record["label"].items()
                for name, places in names.items()
                for first, _ in places
            ]
            text = record["text"]
            wrong = [name.text for name in spans if not text.startswith(name.text, name.start)]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path}:{number}: not a line of CLUENER: text and label were expected") from error
        if wrong:
            raise UserError(f"{path}:{number}: {wrong[0]!r} does not stand where the label says")
        yield Sentence(text, tuple(sorted(spans, key=lambda name: name.start)))


def suitable(sentences: Iterable[Sentence], shortest: int, longest: int, most: int) -> list[Sentence]:
    """Return the sentences of shortest to longest characters with 1 to `most` names that can all be repaired.

    Such a name has 2 to 6 Chinese characters and no others, and stands once in the text. Of sentences with the same
    carrier the first is returned.
    """
    found: dict[str, Sentence] = {}
    for each in sentences:
        fits = shortest <= len(each.text) <= longest and 0 < len(each.names) <= most
        if fits and all(NAME.fullmatch(name.text) and each.text.count(name.text) == 1 for name in each.names):
            found.setdefault(each.carrier, each)
    return list(found.values())
