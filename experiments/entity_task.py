"""The task of entity_repair: what is trained on, what is asked, and the example that is shown."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting
from experiments.entity_confusions import Confusions, count_pairs, find_confusions, split_pairs
from experiments.entity_sentences import Name, read_sentences, suitable
from experiments.entity_split import Case, Corruption, common_characters, make_cases, split_sentences

# The example of the article on the recipe: Microsoft, Amazon and Google, written wrong.
EXAMPLE = {"微阮": "微软", "亚马孙": "亚马逊", "古歌": "谷歌"}
SAID = "{}发布了新的产品。"


@dataclass(frozen=True)
class EntityTask:
    """Sentences, how their names are corrupted, and what is kept for the test."""

    sentences: str = setting("", "file in the layout of CLUENER; '' for the newspaper among the demo corpora")
    shortest: int = setting(6, "characters of a sentence, at least")
    longest: int = setting(30, "characters of a sentence, at most")
    names: int = setting(2, "names of a sentence, at most")
    per_name: int = setting(4, "sentences of a name, at most, on either side")
    tested: float = setting(0.2, "share of the names and of the confusion pairs that are tested, not trained with")
    cases: int = setting(200, "sentences to test with, at most; each with a corrupted name and without")
    common: int = setting(1000, "most frequent characters, which alone are written in place of others")
    corruptions: int = setting(2, "corrupted forms of a sentence that is trained on, beside as many uncorrupted copies")
    seed: int = setting(0, "of the split and of the corruption")

    def __post_init__(self) -> None:
        require(0 < self.tested < 1, "EntityTask.tested", self.tested, "a share between 0 and 1")
        require(self.shortest <= self.longest, "EntityTask.longest", self.longest, f"{self.shortest} or more")
        for name in ("names", "per_name", "cases", "common", "corruptions"):
            require(getattr(self, name) > 0, f"EntityTask.{name}", getattr(self, name), "1 or more")


@dataclass(frozen=True)
class Task:
    """Cases to train on, to test with, and to show. counts: of the split.

    confusions: {a character that may be written: those it may stand for}, of both sides.
    """

    train: list[Case]
    test: list[Case]
    example: list[Case]
    confusions: Confusions
    counts: dict[str, int]


def make_task(cfg: EntityTask) -> Task:
    """Return the cases. Names and confusions of the example are of the test, whatever is drawn."""
    sentences = suitable(read_sentences(cfg.sentences), cfg.shortest, cfg.longest, cfg.names)
    rng = Random(cfg.seed)
    held = [pair for forms in EXAMPLE.items() for pair in zip(*forms) if pair[0] != pair[1]]
    characters = {each for sentence in sentences for each in sentence.text}.union(*EXAMPLE, *EXAMPLE.values())
    wrong = common_characters(sentences, cfg.common).union(*EXAMPLE)
    confusions = find_confusions(characters, wrong)
    trained, tested = split_pairs(confusions, cfg.tested, rng, held)
    sides = split_sentences(sentences, cfg.tested, cfg.per_name, rng, EXAMPLE.values())
    known = {name.text for each in sentences for name in each.names}.union(EXAMPLE.values())
    train = make_cases(sides.train, Corruption(trained, wrong, known), cfg.corruptions, rng)
    test = make_cases(sides.test[: cfg.cases], Corruption(tested, wrong, known), 1, rng)
    both = all(any(case.corruption for case in cases) for cases in (train, test))
    require(both, "EntityTask.sentences", cfg.sentences, "a text with more sentences of this size, for either side")
    counts = {
        **sides.counts,
        "cases to train on": len(train),
        "sentences to test with": len(sides.test[: cfg.cases]),
        "cases to test with": len(test),
        "pairs to train with": count_pairs(trained).total(),
        "pairs to test with": count_pairs(tested).total(),
    }
    meant = {each: confusions[each] for each in wrong if each in confusions}
    return Task(train, test, example_cases(), meant, counts)


def example_cases() -> list[Case]:
    """Return the example: all names in one sentence, and one sentence for each."""
    found = []
    for names in (list(EXAMPLE), *([name] for name in EXAMPLE)):
        text = SAID.format("、".join(names))
        written = tuple(Name(name, "company", text.index(name)) for name in names)
        found.append(Case(text, written, tuple(EXAMPLE[name] for name in names), "example", "company"))
    return found
