"""How many duplicates the data step finds among those planted in real text, and what it removes without cause.

Command: python -m experiments.benchmarks.planted_duplicates [--corpora DIR ...] [--documents N]   Cost: about a minute
for 2,000.

Documents: of N passages of news, speeches and whatever texts each DIR holds (NAME.zh.jsonl.gz, NAME.en.jsonl.gz), two
thirds get a copy: wrapped elsewhere, or with 5, 10, 20 or 40 % of its words (of Chinese, characters) replaced, dropped
or put in, one by one or all in one place. Sentences: every fourth sentence of such text gets a copy, the same or with
words replaced, in another document, and five notices stand in one document of ten; once as they are, and once with the
lines of each document wrapped at some column. All goes through the data step.

recall: of the planted pairs with a Jaccard similarity of 0.85 at least, those of which one text went. precision: of the
texts that went, those that are alike (0.75) to one that stays. Similarity is counted here, from sets of words, and not
by what is measured. Last, the same input in another order and with two workers must leave the same texts.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from baichuan_jax.data.config import DataConfig, Reading
from baichuan_jax.data.dataset import read_documents
from baichuan_jax.data.dedup.config import DedupConfig
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.run_phases import build_corpus
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.rules.sentences import sentences
from baichuan_jax.data.sources.demo import read_demo
from baichuan_jax.data.sources.file_formats import read_file
from baichuan_jax.data.split import SPLITS
from baichuan_jax.jobs.config import RunnerConfig
from experiments.benchmarks.sentence_removal import COLUMNS, wrapped

LANGUAGES = {"zh": "zh_news", "en": "en_speeches"}
SHARES = (0.05, 0.1, 0.2, 0.4)
UNIT = {"zh": re.compile(r"\w|[^\w]+"), "en": re.compile(r"\w+\W*")}  # what is edited
WORD = re.compile(r"[\u2e80-\U0003ffff]|[^\W\u2e80-\U0003ffff_]+")
SHINGLE, SENTENCE_SHINGLE = 5, 2  # words
# Sentences that stay one whatever their neighbours.
WHOLE = {"zh": re.compile(r"[\u4e00-\u9fff].*[。！？]"), "en": re.compile(r"[A-Z][a-z].*[.!?]")}
LEAST_WORDS = {"zh": 14, "en": 10}  # in a sentence that gets a copy
ALIKE, TWIN = 0.85, 0.75
NOTICES = {
    "zh": (
        "本文仅代表作者个人观点，与本网站的立场无关，转载时请注明文章的出处。",
        "编者按：以下内容根据当天会议现场的录音整理而成，未经发言人本人审阅。",
        "更多有关本次活动的详细报道，请继续留意我们今后几天的专题节目。",
        "如果您在阅读时发现文字上的错误，欢迎随时写信告诉编辑部。",
        "以上数据均由有关部门提供，最终解释以正式公布的统计公报为准。",
    ),
    "en": (
        "The views expressed in this article are those of the author and not of the publisher.",
        "This text was prepared from a recording of the session and has not been reviewed by the speakers.",
        "Readers who find an error in these pages are invited to write to the editors at any time.",
        "More reports on this series of events will follow in the course of the coming week.",
        "All figures were supplied by the departments concerned and may still be revised.",
    ),
}


@dataclass(frozen=True)
class Score:
    """Figures of one language and granularity. pairs: planted pairs from ALIKE on. gone: texts that went."""

    recall: float
    precision: float
    pairs: int
    gone: int


def whole_texts(language: str, corpora: Sequence[Path]) -> list[str]:
    """Return the normalised texts of a language."""
    texts = [document.text for document in read_demo(LANGUAGES[language], "skip")]
    for path in _files(corpora, language):
        texts += [document.text for document in read_file(path, Reading(damaged="stop"))]
    return [normalize(text) for text in texts]


def passages(language: str, corpora: Sequence[Path], number: int) -> list[str]:
    """Return different passages of real text, 300 to 3,000 characters each, in random order."""
    found = dict.fromkeys(passage for text in whole_texts(language, corpora) for passage in _pieces(text))
    ordered = list(found)
    random.Random(0).shuffle(ordered)
    return ordered[:number]


def _files(corpora: Sequence[Path], language: str) -> list[Path]:
    return [path for directory in corpora for path in sorted(directory.glob(f"*.{language}.jsonl.gz"))]


def _pieces(text: str) -> Iterator[str]:
    """Yield runs of paragraphs."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines.append(line.strip())
        if sum(map(len, lines)) >= 300:
            yield "\n".join(lines)[:3000].strip()
            lines = []


def edited(text: str, language: str, share: float, scattered: bool, other: str, rng: random.Random) -> str:
    """Return a text of which a share of the units is replaced (half of them), dropped or put in."""
    units, strange = (UNIT[language].findall(part) for part in (text, other))
    count = max(1, round(share * len(units)))
    if not scattered:
        start = rng.randrange(len(units) - count + 1)
        return "".join([*units[:start], *strange[:count], *units[start + count :]])
    for place in sorted(rng.sample(range(len(units)), count), reverse=True):
        kind = rng.randrange(4)
        units[place : place + (kind < 3)] = [] if kind == 2 else [rng.choice(strange)]
    return "".join(units)


def shingles(text: str, width: int) -> set[tuple[str, ...]]:
    """Return the runs of words of a text, the whole if it has fewer words."""
    words = [word.lower() for word in WORD.findall(text)]
    return {tuple(words[at : at + width]) for at in range(max(1, len(words) - width + 1))}


def jaccard(first: set, second: set) -> float:
    """Return the share of the members of either that both have."""
    return len(first & second) / len(first | second)


def best_twin(texts: Sequence[str], kept: Sequence[str], width: int) -> list[float]:
    """Return how alike each text is to the kept one most like it, exactly, by an index of all shingles."""
    sets = [shingles(text, width) for text in kept]
    index: dict[tuple[str, ...], list[int]] = {}
    for number, members in enumerate(sets):
        for member in members:
            index.setdefault(member, []).append(number)
    twins = []
    for text in texts:
        own = shingles(text, width)
        near = {number for member in own for number in index.get(member, ())}
        twins.append(max((jaccard(own, sets[number]) for number in near), default=0.0))
    return twins


def run(rows: Sequence[str], directory: Path, dedup: DedupConfig, workers: int = 1) -> dict[int, str]:
    """Send documents through the data step; return the texts that it keeps, by index."""
    directory.mkdir(parents=True)
    path = directory / "input.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows), encoding="utf-8")
    cfg = CorpusConfig(DataConfig({"text": str(path)}), filters=FilterConfig(sentences=False), dedup=dedup)
    build_corpus(cfg, RunnerConfig(workers=workers), directory / "data")
    documents = (document for split in SPLITS for document in read_documents(directory / "data", "text", split))
    return {int(document["source"].rpartition(":")[2]) - 1: document["text"] for document in documents}


def plant_documents(
    language: str, corpora: Sequence[Path], number: int
) -> tuple[list[str], list[tuple[int, int, str]]]:
    """Return (texts, planted pairs as (index of the original, of the copy, kind))."""
    originals = passages(language, corpora, number)
    rng, texts, pairs = random.Random(1), list(originals), []
    kinds = [("exact", 0.0, False), *((f"{share:.0%}", share, scattered) for share in SHARES for scattered in (0, 1))]
    for at, text in enumerate(originals):
        if at % 3:
            kind, share, scattered = kinds[len(pairs) % len(kinds)]
            other = originals[(at + 1) % len(originals)]
            copy = edited(text, language, share, scattered, other, rng) if share else text.replace("\n", " \n ")
            pairs.append((at, len(texts), f"{kind} {'scattered' if scattered else 'in one place'}" if share else kind))
            texts.append(copy)
    return texts, pairs


def score_documents(language: str, corpora: Sequence[Path], number: int, scratch: Path) -> tuple[Score, dict, bool]:
    """Return (figures, {kind: (pairs, mean similarity, share found)}, whether order and workers changed nothing)."""
    texts, pairs = plant_documents(language, corpora, number)
    only_documents = DedupConfig(sentences=0)
    plain = run(texts, scratch / "plain", DedupConfig(documents=0, sentences=0))  # what the rules keep
    kept = run(texts, scratch / "kept", only_documents)
    order = random.Random(2).sample(range(len(texts)), len(texts))
    again = run([texts[at] for at in order], scratch / "again", only_documents, workers=2)
    same = sorted(kept.values()) == sorted(again.values())
    equal = {copy: original for original, copy, kind in pairs if kind == "exact"}
    passed = (
        plain.keys()
        | {at for at, other in equal.items() if other in plain}
        | {other for at, other in equal.items() if at in plain}
    )
    gone = sorted(passed - kept.keys())
    twins = best_twin([texts[at] for at in gone], list(kept.values()), SHINGLE)
    by_kind: dict[str, list[tuple[float, bool]]] = {}
    for original, copy, kind in pairs:
        if original in passed and copy in passed:
            alike = jaccard(*(shingles(texts[at], SHINGLE) for at in (original, copy)))
            by_kind.setdefault(kind, []).append((alike, original not in kept or copy not in kept))
    found = [found for rows in by_kind.values() for alike, found in rows if alike >= ALIKE]
    score = Score(_mean(found), _mean([twin >= TWIN for twin in twins]), len(found), len(gone))
    table = {kind: (len(rows), *map(_mean, zip(*rows))) for kind, rows in sorted(by_kind.items())}
    return score, table, same


def plant_sentences(
    language: str, corpora: Sequence[Path], number: int
) -> tuple[list[str], list[str], list[tuple[str, str]], Sequence[str]]:
    """Return (documents, their sentences, planted pairs of sentences, notices)."""
    rng = random.Random(3)
    flat = (part for text in passages(language, corpora, number) for part in sentences(text))
    long = [part.strip() for part in flat if len(WORD.findall(part)) >= LEAST_WORDS[language]]
    originals = [part for part in dict.fromkeys(long) if WHOLE[language].fullmatch(part)]
    documents = [originals[at : at + 12] for at in range(0, len(originals), 12)]
    pairs = []
    for at in range(0, len(originals), 4):
        units = UNIT[language].findall(originals[at])
        strange = [unit for unit in UNIT[language].findall(originals[at - 1])[:-1] if unit.strip().isalnum()]
        for place in rng.sample(range(1, len(units) - 1), rng.randrange(3) if strange and len(units) > 5 else 0):
            units[place] = rng.choice(strange)
        pairs.append((originals[at], "".join(units)))
        documents[(at // 12 + 1 + at % 11) % len(documents)].append(pairs[-1][1])
    notices = NOTICES[language]
    for at, document in enumerate(documents):
        if at % 10 == 0:
            document.append(notices[at // 10 % len(notices)])
    for document in documents:
        rng.shuffle(document)
    joint = "" if language == "zh" else " "
    whole = [part for document in documents for part in document]
    return [joint.join(document) for document in documents], whole, pairs, notices


def score_sentences(
    language: str, corpora: Sequence[Path], number: int, scratch: Path, wrap: bool = False
) -> tuple[Score, float]:
    """Return (figures, mean number of documents in which a notice stays). wrap: each document at some column."""
    documents, whole, pairs, notices = plant_sentences(language, corpora, number)
    if wrap:
        documents = [wrapped(text, COLUMNS[at % len(COLUMNS)]) for at, text in enumerate(documents)]
    plain = run(documents, scratch / "plain", DedupConfig(documents=0, sentences=0))
    kept = run(documents, scratch / "kept", DedupConfig(documents=0))
    before, after = ("\n".join(map(_squashed, texts.values())) for texts in (plain, kept))
    counts = {part: (before.count(_squashed(part)), after.count(_squashed(part))) for part in (*whole, *sum(pairs, ()))}
    went = lambda part: counts[part][1] < counts[part][0]
    parts = [part for part in dict.fromkeys(whole) if counts[part][0]]
    stay = [part for part in parts if counts[part][1]]
    twins = best_twin(gone := [part for part in parts if went(part)], stay, SENTENCE_SHINGLE)
    similar = [
        pair
        for pair in pairs
        if all(counts[part][0] for part in pair)
        and jaccard(*(shingles(part, SENTENCE_SHINGLE) for part in pair)) >= ALIKE
    ]
    recall = _mean([went(first) or went(second) for first, second in similar])
    precision = _mean([twin >= TWIN for twin in twins])
    stays = _mean([after.count(_squashed(notice)) for notice in notices])
    return Score(recall, precision, len(similar), len(gone)), stays


def _squashed(text: str) -> str:
    """Return a text without white space: the same wherever its lines end."""
    return "".join(text.split())


def aligned(corpora: Sequence[Path], scratch: Path) -> tuple[int, int]:
    """Return (documents, documents removed as duplicates) of texts that stand in DIR in both languages."""
    texts = []
    for path in _files(corpora, "zh"):
        other = path.with_name(path.name.replace(".zh.", ".en."))
        for side in (path, other) if other.exists() else ():
            texts += [document.text for document in islice(read_file(side, Reading(damaged="stop")), 300)]
    plain = run(texts, scratch / "plain", DedupConfig(documents=0, sentences=0))
    kept = run(texts, scratch / "kept", DedupConfig(sentences=0))
    gone = [texts[at] for at in plain.keys() - kept.keys()]
    twins = best_twin(gone, list(kept.values()), SHINGLE)
    return len(texts), sum(twin < TWIN for twin in twins)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0


def main() -> None:
    """Print the figures of both languages."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpora", type=Path, action="append", default=[], help="a directory of more texts")
    arguments.add_argument("--documents", type=int, default=2000, help="passages for each language")
    args = arguments.parse_args()
    for language in LANGUAGES:
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch)
            score, table, same = score_documents(language, args.corpora, args.documents, place / "documents")
            print(f"{language} documents: recall {score.recall:.4f} of {score.pairs}, ", end="")
            print(f"precision {score.precision:.4f} of {score.gone}; same whatever order and workers: {same}")
            for kind, (count, alike, found) in table.items():
                print(f"    {kind:18} {count:5} pairs, mean similarity {alike:.2f}, found {found:.1%}")
            for wrap in (False, True):
                score, notices = score_sentences(
                    language, args.corpora, args.documents, place / f"wrapped {wrap}", wrap
                )
                print(f"{language} sentences{', wrapped' * wrap}: recall {score.recall:.4f} of {score.pairs}, ", end="")
                print(f"precision {score.precision:.4f} of {score.gone}; a notice stays in {notices:.1f} documents")
    if args.corpora:
        with tempfile.TemporaryDirectory() as scratch:
            documents, wrong = aligned(args.corpora, Path(scratch))
            print(f"texts in both languages: {documents}, removed for one in the other language: {wrong}")


if __name__ == "__main__":
    main()
