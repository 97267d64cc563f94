"""Sentences to train on and to test with, and the corruption of their names.

No name, carrier sentence or confusion pair of the test is in training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from experiments.entity_confusions import Confusions
from experiments.entity_sentences import Name, Sentence


@dataclass(frozen=True)
class Case:
    """A sentence as it is given to a system. written: its names as they stand in it. right: as they should be.

    corruption: kind of the confusion, "" if all names are right. kind: of the corrupted name, else of the first.
    """

    text: str
    written: tuple[Name, ...]
    right: tuple[str, ...]
    corruption: str
    kind: str

    def rewritten(self, number: int, name: str) -> str:
        """Return the text with another name in place of one of its names, of the same length."""
        start = self.written[number].start
        return self.text[:start] + name + self.text[start + len(name) :]


@dataclass(frozen=True)
class Sides:
    """Sentences to train on and to test with. counts: how many sentences there were, and why others were left out."""

    train: list[Sentence]
    test: list[Sentence]
    counts: dict[str, int] = field(default_factory=dict)


def split_sentences(
    sentences: Sequence[Sentence], share: float, per_name: int, rng: Random, held: Collection[str] = ()
) -> Sides:
    """Split sentences with different carriers by their names: a random share of the names, and `held`, are tested.

    A sentence to test with has tested names alone, none of which contains or is part of a name that is trained on. A
    sentence to train on has none of the tested names anywhere in its text. per_name: sentences of a name, at most.
    """
    names = sorted({name.text for each in sentences for name in each.names})
    tested = {*rng.sample(names, round(share * len(names))), *held}
    shuffled = rng.sample(sentences, len(sentences))
    mixed = [each for each in shuffled if not tested.isdisjoint(_parts(each.text))]
    train = _at_most(per_name, (each for each in shuffled if tested.isdisjoint(_parts(each.text))))
    trained = {name.text for each in train for name in each.names}
    known = trained | {part for name in trained for part in _parts(name)}
    alone = (each for each in mixed if tested.issuperset(name.text for name in each.names))
    apart = [each for each in alone if all(_is_apart(name.text, trained, known) for name in each.names)]
    test = _at_most(per_name, apart)
    counts = {
        "sentences": len(sentences),
        "names": len(names),
        "sentences to train on": len(train),
        "names in them": len(trained),
        "sentences that can be tested": len(test),
        "names in these": len({name.text for each in test for name in each.names}),
        "left out: names of both sides": len(mixed) - len(apart),
        "left out: more of a name than wanted": len(shuffled) - len(mixed) - len(train) + len(apart) - len(test),
    }
    return Sides(train, test, counts)


def _is_apart(name: str, trained: Collection[str], known: Collection[str]) -> bool:
    return name not in known and not any(part in trained for part in _parts(name))


def _parts(text: str) -> Iterator[str]:
    """Yield every part of 2 to 6 characters."""
    return (text[start : start + size] for size in range(2, 7) for start in range(len(text) - size + 1))


def _at_most(per_name: int, sentences: Iterable[Sentence]) -> list[Sentence]:
    """Return sentences none of whose names has come `per_name` times before."""
    times: Counter[str] = Counter()
    kept = []
    for each in sentences:
        if all(times[name.text] < per_name for name in each.names):
            times.update(name.text for name in each.names)
            kept.append(each)
    return kept


def common_characters(sentences: Iterable[Sentence], count: int) -> frozenset[str]:
    """Return the most frequent Chinese characters."""
    times = Counter(each for sentence in sentences for each in sentence.text if "\u4e00" <= each <= "\u9fff")
    return frozenset(each for each, _ in sorted(times.items(), key=lambda item: (-item[1], item[0]))[:count])


class Corruption:
    """Writes one character of a name wrong. wrong: characters that may be written. names: none of which may result."""

    def __init__(self, confusions: Confusions, wrong: Collection[str], names: Collection[str]):
        self._confusions, self._wrong, self._names = confusions, wrong, names

    def options(self, name: str) -> dict[str, list[str]]:
        """Return {kind: the name, written wrong in one character}."""
        found: dict[str, list[str]] = {}
        for place, right in enumerate(name):
            for wrong, kind in self._confusions.get(right, {}).items():
                written = name[:place] + wrong + name[place + 1 :]
                if wrong in self._wrong and written not in self._names:
                    found.setdefault(kind, []).append(written)
        return found

    def __call__(self, sentence: Sentence, rng: Random) -> Case | None:
        """Return a sentence with one name corrupted: first a name is drawn, then a kind, then a character.

        None if no name has a character that can be taken for another.
        """
        options = [(number, found) for number, name in enumerate(sentence.names) if (found := self.options(name.text))]
        if not options:
            return None
        number, found = rng.choice(options)
        kind = rng.choice(sorted(found))
        case = as_written(sentence)
        written = replace(sentence.names[number], text=rng.choice(found[kind]))
        names = (*case.written[:number], written, *case.written[number + 1 :])
        return Case(case.rewritten(number, written.text), names, case.right, kind, written.kind)


def as_written(sentence: Sentence) -> Case:
    """Return a sentence whose names are all right."""
    names = sentence.names
    return Case(sentence.text, names, tuple(name.text for name in names), "", names[0].kind)


def make_cases(sentences: Sequence[Sentence], corrupt: Corruption, times: int, rng: Random) -> list[Case]:
    """Return every sentence `times` times corrupted, each time otherwise, and as often as it is written."""
    found = []
    for each in sentences:
        made = [corrupt(each, rng) for _ in range(times)]
        different = {case.text: case for case in made if case}
        found += [*different.values(), *[as_written(each)] * max(1, len(different))]
    return found
