"""How many test questions planted in real text are found, and what of clean text goes for them.

    python -m experiments.benchmarks.decontamination --data-dir DIR --corpora DIR

DIR of --data-dir holds ceval.zip, mmlu.zip, cmmlu.zip, agieval/, gaokao/, gsm8k/, math/ and humaneval/ as they are
published. The questions are read here as each benchmark prints them, apart from the code that is measured, planted in
pages of news and speeches, and sent through the data step; a question counts as found if it stands in the dataset
without evaluation sets and does not with them. Then all texts of --corpora and the demo corpora are searched for all
sets at once.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baichuan_jax.data.config import DataConfig, Reading
from baichuan_jax.data.dataset import domains, read_documents
from baichuan_jax.data.dedup.config import DedupConfig
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.run_phases import build_corpus
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.normalize_many import normalize_many
from baichuan_jax.data.select.config import SelectConfig
from baichuan_jax.data.select.contamination import find_questions
from baichuan_jax.data.select.cuts import question_cuts
from baichuan_jax.data.select.index import EvaluationIndex, index_sets, questions
from baichuan_jax.data.sources.demo import read_demo
from baichuan_jax.data.sources.file_formats import read_file
from baichuan_jax.data.split import SPLITS
from baichuan_jax.jobs.config import RunnerConfig
from experiments.benchmarks.planted_duplicates import whole_texts

PATTERNS = {
    "ceval": "ceval.zip",
    "mmlu": "mmlu.zip",
    "cmmlu": "cmmlu.zip",
    "agieval": "agieval/*.jsonl",
    "gaokao": "gaokao/*.json",
    "gsm8k": "gsm8k/*.jsonl",
    "math": "math/*.jsonl",
    "humaneval": "humaneval/*.jsonl.gz",
}
ENGLISH = ("mmlu", "gsm8k", "math")  # planted in English pages
LEAST = SelectConfig().ngram
WORD = re.compile(r"(?=[\u2e80-\U0003ffff])[^\W_]|[^\W\u2e80-\U0003ffff_]+")
SPACING = re.compile(r"[\W_①-⑩]+")
MARK = re.compile(r"^\s*\(([A-H])\)")  # that AGIEval prints before its choices
HOST = 1500  # characters of a page on either side of a question, at most
PUNCTUATION = str.maketrans(
    {"，": ",", "。": ".", "？": "?", "；": "、", ",": ";", "(": "[", ")": "]", "“": '"', "”": '"'}
)
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Question:
    """A question as its benchmark prints it. context: the passage before it, if there is one."""

    stem: str
    choices: tuple[str, ...] = ()
    context: str = ""

    @property
    def words(self) -> int:
        return len(WORD.findall(" ".join((self.context, self.stem, *self.choices))))


def printed(question: Question, mark: Callable[[int], str], joint: str, choices: Sequence[str] | None = None) -> str:
    """Return a question with marks before its choices, all parts joined."""
    labelled = (mark(number) + text for number, text in enumerate(question.choices if choices is None else choices))
    return joint.join(part for part in (question.context, question.stem, *labelled) if part)


def _reordered(question: Question) -> str:
    choices = random.Random(question.stem).sample(question.choices, len(question.choices))
    return printed(question, lambda number: f"{LETTERS[number]}. ", "\n", choices)


VARIANTS: dict[str, Callable[[Question], str]] = {
    "one paragraph": lambda question: printed(question, lambda number: "", " "),
    "other punctuation": lambda question: printed(question, lambda number: "", "；").translate(PUNCTUATION),
    "line breaks": lambda question: printed(question, lambda number: "", "\n").replace(" ", "\n"),
    "A. ": lambda question: printed(question, lambda number: f"{LETTERS[number]}. ", "\n"),
    "(a)": lambda question: printed(question, lambda number: f"({LETTERS[number].lower()}) ", " "),
    "A、 full width": lambda question: printed(question, lambda number: f"{chr(ord('Ａ') + number)}、", "　"),
    "①": lambda question: printed(question, lambda number: chr(ord("①") + number), "\n"),
    "other order": _reordered,
    "with an answer": lambda question: printed(question, lambda number: f"{LETTERS[number]}．", "\n") + "\n答案：B。",
}


def read_questions(directory: Path, name: str) -> list[Question]:
    """Return the questions of a benchmark, in the order of its files."""
    if name in ("ceval", "mmlu", "cmmlu"):
        return list(_tables(directory / PATTERNS[name], name == "mmlu"))
    return [
        question
        for path in sorted(directory.glob(PATTERNS[name]))
        for question in _records(name, path.read_text(encoding="utf-8"))
    ]


def _tables(path: Path, unnamed: bool) -> Iterator[Question]:
    with zipfile.ZipFile(path) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".csv")):
            rows = list(csv.reader(io.StringIO(archive.read(name).decode("utf-8-sig"), newline="")))
            for row in rows if unnamed else rows[1:]:
                yield Question(row[0], tuple(row[1:5])) if unnamed else Question(row[1], tuple(row[2:6]))


def _records(name: str, text: str) -> Iterator[Question]:
    if name == "gaokao":
        yield from (Question(row["question"]) for row in json.loads(text)["example"])
        return
    for row in map(json.loads, filter(None, text.split("\n"))):
        if name == "agieval":
            choices = tuple(MARK.sub("", choice) for choice in row["options"] or ())
            yield Question(row["question"], choices, row["passage"] or "")
        else:
            yield Question(row["question" if name == "gsm8k" else "problem"])


def drawn(found: Sequence[Question], number: int, seed: str) -> list[Question]:
    """Return questions drawn by their ids, those that were drawn in the order of the ids."""
    return [found[place] for place in sorted(random.Random(seed).sample(range(len(found)), min(number, len(found))))]


def hosts(language: str) -> Iterator[tuple[str, str]]:
    """Yield (text before, text after) for ever, from real pages cut where a line ends."""
    texts = [text for text in whole_texts(language, ()) if len(text) >= 400]
    while True:
        for text in texts:
            middle = text.find("\n", len(text) // 2) + 1 or len(text)
            yield text[max(0, middle - HOST) : middle], text[middle : middle + HOST]


def bare(text: str) -> str:
    """Return the letters and digits of a text, in lower case."""
    (normal,) = normalize_many([text])
    return SPACING.sub("", normal.lower())


def standing(documents: dict[str, list[str]], directory: Path, sets: dict[str, str]) -> dict[str, dict[int, str]]:
    """Return the bare texts that the data step leaves of documents, by domain and by number of the document."""
    sources = {}
    directory.mkdir()
    for name, texts in documents.items():
        path = directory / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        sources[name] = str(path)
    cfg = CorpusConfig(
        DataConfig(sources),
        filters=FilterConfig(sentences=False),
        dedup=DedupConfig(documents=0, sentences=0),
        select=SelectConfig(evaluation_sets=sets),
    )
    build_corpus(cfg, RunnerConfig(workers=2), directory / "data")
    found: dict[str, dict[int, str]] = {name: {} for name in documents}
    for name in domains(directory / "data"):
        for split in SPLITS:
            for document in read_documents(directory / "data", name, split):
                number = int(document["source"].rpartition(":")[2]) - 1
                found[name][number] = found[name].get(number, "") + "|" + bare(document["text"])
    return found


def plant(directory: Path, number: int, scratch: Path) -> bool:
    """Print how many planted questions are found; return whether it is as many as asked."""
    sets = {name: str(directory / pattern) for name, pattern in PATTERNS.items()}
    pages = {language: hosts(language) for language in ("zh", "en")}
    documents: dict[str, list[str]] = {}
    planted: dict[str, list[Question]] = {}
    for name in PATTERNS:
        if name == "humaneval":
            continue
        every = read_questions(directory, name)
        long = [question for question in every if question.words >= LEAST]
        short = sorted(long, key=lambda question: question.words)[: len(long) // 4]
        print(f"{name}: {len(every):,} questions, {len(every) - len(long):,} of fewer than {LEAST} tokens")
        chosen = {"": drawn(long, number, name), " of the shortest quarter": drawn(short, number, name)}
        for kind, group in chosen.items():
            for variant, form in VARIANTS.items() if not kind else [("one paragraph", VARIANTS["one paragraph"])]:
                key = f"{name}{kind}, {variant}"
                around = pages["en" if name in ENGLISH else "zh"]
                documents[key] = [
                    f"{before}\n{form(question)}\n{after}" for question, (before, after) in zip(group, around)
                ]
                planted[key] = group
    keys = {key: f"d{place}" for place, key in enumerate(documents)}
    texts = {keys[key]: group for key, group in documents.items()}
    before = standing(texts, scratch / "without", {})
    after = standing(texts, scratch / "with", sets)
    good = True
    print("\n| planted | of those that the rules keep | found | share |\n|---|---|---|---|")
    for key, group in planted.items():
        there = [
            (place, bare(question.stem))
            for place, question in enumerate(group)
            if bare(question.stem) in before[keys[key]].get(place, "")
        ]
        found = sum(stem not in after[keys[key]].get(place, "") for place, stem in there)
        least = 0.98 if key.endswith("one paragraph") else 0.95
        share = found / max(1, len(there))
        good &= share >= least
        print(f"| {key} | {len(there)} | {found} | {share:.3f}{'' if share >= least else ' MISS'} |", flush=True)
    return good


def clean(directory: Path, corpora: Sequence[Path], scratch: Path, shown: int) -> bool:
    """Print what goes of texts that hold no question; return whether it is as little as asked."""
    sets = {name: str(directory / pattern) for name, pattern in PATTERNS.items()}
    scratch.mkdir()
    for name, count in zip(sets, index_sets(sets.values(), LEAST, scratch)):
        print(f"{name}: {count['rows']:,} rows, {count['searched']:,} looked for, {count['too_short']:,} too short")
    index = EvaluationIndex.load(scratch)
    total = Counter()
    print("\n| clean text | documents | touched | characters | lost |\n|---|---|---|---|---|")
    for name, texts in clean_texts(corpora):
        texts = normalize_many(texts)
        found = question_cuts(texts, find_questions(index, texts))
        touched = np.unique(found["document"])
        size, lost = sum(map(len, texts)), int((found["end"] - found["start"]).sum())
        total.update(documents=len(texts), touched=len(touched), size=size, lost=lost)
        print(f"| {name} | {len(texts):,} | {len(touched)} | {size:,} | {lost:,} ({lost / size:.3%}) |", flush=True)
        named = questions(scratch, found["row"].tolist())
        for cut in found[:shown]:
            row = named[int(cut["row"])]
            print(f"    {texts[cut['document']][cut['start'] : cut['end']]!r}\n    {row['source']}: {row['text']!r}")
    share = total["touched"] / total["documents"]
    print(
        f"| all | {total['documents']:,} | {total['touched']} ({share:.3%}) | {total['size']:,} | {total['lost']:,} |"
    )
    return share <= 0.001


def clean_texts(corpora: Sequence[Path]) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, texts) of the files of directories and of the demo corpora."""
    for path in (path for directory in corpora for path in sorted(directory.glob("*.jsonl.gz"))):
        yield (
            path.name.removesuffix(".jsonl.gz"),
            [document.text for document in read_file(path, Reading(damaged="stop"))],
        )
    for name in ("zh_news", "zh_reviews", "en_speeches"):
        yield name, [document.text for document in read_demo(name, "skip")]


def main() -> None:
    """Print both tables."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data-dir", type=Path, required=True, help="the evaluation sets, as published")
    arguments.add_argument("--corpora", type=Path, action="append", default=[], help="a directory of more clean texts")
    arguments.add_argument("--questions", type=int, default=150, help="planted of each set")
    arguments.add_argument("--show", type=int, default=0, help="cuts of each clean text to print")
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        good = clean(args.data_dir, args.corpora, Path(scratch) / "clean", args.show)
        good &= plant(args.data_dir, args.questions, Path(scratch))
    print("all as asked" if good else "NOT all as asked")


if __name__ == "__main__":
    main()
