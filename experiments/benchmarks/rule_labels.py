"""What the rules remove and keep, judged by texts that were read one by one.

Command: python -m experiments.benchmarks.rule_labels --corpora DIR [DIR ...] --eval DIR   Cost: half a minute.
More: --draw prints the list drawn anew, with the labels that are known; --show ID ... prints texts that it names, or
all whose id or verdict begins so, as in --show removed:few_letters.

rule_labels.tsv names texts by source and hash, and holds none. They were drawn by the order of a seeded hash from what
the rules of commit 07807c7 made of three kinds of text: the corpora of each DIR (NAME.zh.jsonl.gz, NAME.en.jsonl.gz),
the questions of evaluation sets as raw text, and the demo corpora. Kept texts are spread over sources, removed ones
over rules and then sources; a rule that removed few is there whole. Lines that rules took out are drawn in the same
way. verdict: what those rules did: kept, removed:RULE, or pruned:RULE of a line. label: good if a careful curator of
texts for pre-training keeps it, bad if not. Each was read: long ones at the beginning, in the middle and at the end.

Printed: of each rule and language, how many labelled texts it fires on and how many of them are bad, then and now. The
exit code is 1 if more than MOST_LOST good texts of a language go, or good lines; if a rule is less precise than it was;
or if texts are missing, so that little is judged.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple, TextIO, TypeVar
from unicodedata import normalize

from baichuan_jax.data.characters import batches
from baichuan_jax.data.rules.cleaner import Cleaner
from baichuan_jax.data.rules.config import FilterConfig
from experiments.benchmarks.rule_texts import Text, all_texts, short_hash

LABELS = Path(__file__).with_suffix(".tsv")
SEED = 16
DRAWN = {"zh": 150, "en": 150, "code": 50}  # kept texts, and as many removed ones
DRAWN_LINES = 20  # of each rule and language
MOST_LOST = 2  # good texts of a language, and good lines
MOST_MISSING = 0.05  # of the labelled texts
KEPT, REMOVED, PRUNED = "kept", "removed", "pruned"
GOOD, BAD = "good", "bad"
NOT_WORD = re.compile(r"\W+")
EXCERPT = 400  # characters of the beginning, the middle and the end that are shown

Item = TypeVar("Item", bound=Hashable)


class Label(NamedTuple):
    """A line of the list. id: of a text (`Text.id`), or of a line in it: that of the text, "/", and a hash."""

    id: str
    source: str
    language: str
    verdict: str
    label: str = ""
    reason: str = ""

    @property
    def is_line(self) -> bool:
        return "/" in self.id


class Judged(NamedTuple):
    """What the rules of now do with a text or line. text: the raw text; of a line, itself and what is around it."""

    source: str
    language: str
    verdict: str
    text: str


def read_labels() -> list[Label]:
    with LABELS.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Label(*row) for row in rows][1:]


def write_labels(labels: Iterable[Label], file: TextIO) -> None:
    for row in [Label._fields, *labels]:
        print(*row, sep="\t", file=file)


def judge(texts: Sequence[Text]) -> Iterator[tuple[str, Judged]]:
    """Yield the id of each text and of each line that is taken out of it, and what the rules do with it."""
    cleaner = Cleaner(FilterConfig())
    cleaned = (result for batch in batches([text.text for text in texts]) for result in cleaner(batch))
    for text, result in zip(texts, cleaned, strict=True):
        verdict = f"{REMOVED}:{result.reason}" if result.reason else KEPT
        yield text.id, Judged(text.source, text.language, verdict, text.text)
        for rule, lines in result.pruned.items():
            for line in lines:
                judged = Judged(text.source, text.language, f"{PRUNED}:{rule}", _context(line, result.normal))
                yield f"{text.id}/{line_hash(line)}", judged


def line_hash(line: str) -> str:
    """Return the hash of a line, the same however it is spaced and whatever width its characters have.

    A line of which another part is taken out than before has another hash: it counts as kept.
    """
    return short_hash(NOT_WORD.sub("", normalize("NFKC", line)) or line)


def _context(line: str, text: str) -> str:
    start = text.find(line)
    before, after = text[max(0, start - EXCERPT // 2) : start], text[start + len(line) :][: EXCERPT // 2]
    return f"{before}<<<{line}>>>{after}"


def draw(found: dict[str, Judged]) -> list[Label]:
    """Return the list without labels, drawn from everything that there is."""
    by_hash = sorted(found, key=lambda id: short_hash(f"{SEED}:{id}"))
    drawn = [Label(id, *found[id][:3]) for id in by_hash]
    chosen: list[Label] = []
    for language, number in DRAWN.items():
        here = [label for label in drawn if label.language == language]
        by_rule = _grouped(here, [label.verdict for label in here])
        spread = {rule: _interleave(_grouped(some, [label.source for label in some])) for rule, some in by_rule.items()}
        removed = {rule: some for rule, some in spread.items() if rule.startswith(REMOVED)}
        chosen += spread.get(KEPT, [])[:number] + _interleave(removed)[:number]
        for rule in spread:
            chosen += _once(spread[rule])[:DRAWN_LINES] if rule.startswith(PRUNED) else []
    return chosen


def _once(lines: Sequence[Label]) -> list[Label]:
    """Return the lines without those that stand in several texts, but for the first."""
    return list({label.id.partition("/")[2]: label for label in reversed(lines)}.values())[::-1]


def _grouped(items: Sequence[Item], keys: Sequence[str]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {key: [] for key in sorted(set(keys))}
    for item, key in zip(items, keys):
        groups[key].append(item)
    return groups


def _interleave(groups: dict[str, list[Item]]) -> list[Item]:
    """Return the first item of every group, then the second of every group that has one, and so on."""
    return [item for rank in zip_longest(*groups.values()) for item in rank if item is not None]


def _labelled(drawn: Sequence[Label], labels: Sequence[Label]) -> list[Label]:
    """Return what was drawn, with the labels and reasons that are known."""
    known = {label.id: label for label in labels}
    return [Label(*label[:4], *known.get(label.id, label)[4:]) for label in drawn]


def report(labels: Sequence[Label], found: dict[str, Judged]) -> bool:
    """Print what became of the labelled texts, and return whether all is as it should be.

    found: what the rules do now, of every text that was there; a line that is not in it is no longer taken out.
    """
    texts = {id.partition("/")[0] for id in found}
    missing = [label for label in labels if label.id.partition("/")[0] not in texts]
    there = [label for label in labels if label not in set(missing)]
    now = {label.id: found[label.id].verdict if label.id in found else KEPT for label in there}
    print(f"{len(labels)} labels; texts not found: {len(missing)}", *(label.id for label in missing[:20]))
    failures = [f"{len(missing)} texts not found"] if len(missing) > MOST_MISSING * len(labels) else []
    for language in DRAWN:
        here = [label for label in there if label.language == language]
        failures += _report_rules(language, here, now)
        for name, some in (("texts", [x for x in here if not x.is_line]), ("lines", [x for x in here if x.is_line])):
            failures += _report_lost(f"{language} {name}", some, now)
    print(*(f"FAILED: {failure}" for failure in failures), sep="\n")
    print("passed" if not failures else f"{len(failures)} of the conditions failed")
    return not failures


def _report_rules(language: str, labels: Sequence[Label], now: dict[str, str]) -> list[str]:
    """Print a line for each rule, and return those that are less precise than they were."""
    before = {label.id: label.verdict for label in labels}
    columns = "bad, good, precision then; now; good newly taken, given back"
    print(f"\n{language}: {'rule':26} {columns}")
    worse = []
    for rule in sorted({*before.values(), *(now[label.id] for label in labels)} - {KEPT}):
        then, today = ([label for label in labels if of[label.id] == rule] for of in (before, now))
        good_then, good_today = ({label.id for label in some if label.label == GOOD} for some in (then, today))
        taken = sum(before[id] == KEPT for id in good_today)
        back = sum(now[id] == KEPT for id in good_then)
        print(f"{language}: {rule:26} {_precision(then)}; {_precision(today)}; {taken:3} {back:3}")
        if then and today and len(good_today) * len(then) > len(good_then) * len(today):
            worse.append(f"{language}: {rule} is less precise than it was")
        if then and not today:
            print(f"{language}: {rule} fires on none of them now")
    return worse


def _precision(fired: Sequence[Label]) -> str:
    counts = Counter(label.label for label in fired)
    return f"{counts[BAD]:4} {counts[GOOD]:4} {f'{counts[BAD] / len(fired):.3f}' if fired else '-':>6}"


def _report_lost(name: str, labels: Sequence[Label], now: dict[str, str]) -> list[str]:
    """Print how many good ones go and bad ones stay, and return what is wrong about it."""
    good, bad = ([label for label in labels if label.label == which] for which in (GOOD, BAD))
    lost = [label for label in good if now[label.id] != KEPT]
    lost_then = sum(label.verdict != KEPT for label in good)
    gone = sum(now[label.id] != KEPT for label in bad)
    gone_then = sum(label.verdict != KEPT for label in bad)
    print(f"{name}: of {len(good)} good ones {len(lost)} go now, {lost_then} then", end="; ")
    print(f"of {len(bad)} bad ones {gone} go now, {gone_then} then")
    for label in lost:
        print(f"    {label.id} ({label.verdict} then, {now[label.id]} now): {label.reason}")
    return [f"{name}: {len(lost)} good ones go, at most {MOST_LOST} may"] if len(lost) > MOST_LOST else []


def show(found: dict[str, Judged], wanted: Collection[str]) -> None:
    """Print the beginning, the middle and the end of the texts that are wanted."""
    for id, judged in found.items():
        if any(id.startswith(name) or judged.verdict.startswith(name) for name in wanted):
            print(f"=== {id} {judged.verdict}\n{_excerpt(judged.text)}")


def _excerpt(text: str) -> str:
    if len(text) <= 3 * EXCERPT:
        return text
    middle = (len(text) - EXCERPT) // 2
    return "\n[...]\n".join((text[:EXCERPT], text[middle : middle + EXCERPT], text[-EXCERPT:]))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, nargs="+", default=[], metavar="DIR")
    parser.add_argument("--eval", type=Path, metavar="DIR")
    parser.add_argument("--draw", action="store_true", help="print the list, drawn anew")
    parser.add_argument("--show", nargs="+", metavar="ID", help="print texts of the list")
    options = parser.parse_args(arguments)
    labels = read_labels() if LABELS.exists() else []
    texts = all_texts(options.corpora, options.eval)
    if options.draw:
        write_labels(_labelled(draw(dict(judge(list(texts)))), labels), sys.stdout)
        return 0
    wanted = {label.id.partition("/")[0] for label in labels}
    found = dict(judge([text for text in texts if text.id in wanted]))
    if options.show:
        show({id: judged for id, judged in found.items() if id in {label.id for label in labels}}, options.show)
        return 0
    return 0 if report(labels, found) else 1


if __name__ == "__main__":
    sys.exit(main())
