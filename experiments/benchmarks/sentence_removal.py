"""Whether what the search for repeated sentences leaves reads as text, source by source.

Command: python -m experiments.benchmarks.sentence_removal [--corpora DIR ...] [--show N]   Cost: a minute for 40 MB of
text.

Each source goes through the data step alone: the texts of each DIR (NAME.zh.jsonl.gz, NAME.en.jsonl.gz), and news and
speeches, wrapped at 40 to 78 columns, of which every fifth sentence stands in the next document too, wrapped at another
column. A removal is a run of text that went at once. It is flagged if what is left may break off in the middle of a
sentence: the line before it has no mark that ends one, or what comes after begins with a small letter. Headings,
entries of lists and verse do so by nature and are left out, as defined here and not by what is measured. --show prints
so many of those flagged, with --all of any, for people to read.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.flow import write
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.run_phases import build_corpus
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.sources.demo import read_demo
from baichuan_jax.jobs.config import RunnerConfig

DEMO = {"zh": ("zh_news", 1500), "en": ("en_speeches", 60)}  # and how many documents
COLUMNS = (40, 60, 72, 78)
WIDE = "\u2e80-\U0003ffff“”‘’…—"
# What no line ends within: an ideograph with the marks behind it, a word, white space.
UNIT = re.compile(rf"[{WIDE}][，。；：？！、”’」』）》…—]*|[^\s{WIDE}]+|\s+")
SENTENCE_END = re.compile(r"(?<=[。！？])(?![。！？”’」』）])|(?<=[a-z][.!?]) +(?=[A-Z])")
ENDED = re.compile(r"[。！？.!?…][”’」』）》\"')\]]*$")
ENTRY = re.compile(r"(?:[-*+•·●○■□▪◆※]|\(?[0-9a-zA-Z一二三四五六七八九十]{1,3}[.)、）]|[①-⑳])")
HEADING, VERSE = 40, 48  # columns of a heading, and of a line of verse, at most


class Removal(NamedTuple):
    """What went from a text, with what stands before it and after it."""

    before: str
    gone: str
    after: str


def columns(text: str) -> int:
    """Return how many columns a text takes."""
    return len(text) + len(re.findall(rf"[{WIDE}]", text))


def wrapped(text: str, most: int) -> str:
    """Return a paragraph in lines of so many columns."""
    lines, line, size = [], "", 0
    for unit in UNIT.findall(text):
        width = columns(unit)
        if size + width > most and line.strip():
            lines.append(line.rstrip())
            line, size = "", 0
            if unit.isspace():
                continue
        line, size = line + unit, size + width
    return "\n".join([*lines, line.rstrip()]).strip("\n")


def wrapped_copy(language: str) -> Iterator[str]:
    """Yield news or speeches, wrapped, with sentences of the document before in the middle of paragraphs."""
    rng = random.Random(4)
    name, number = DEMO[language]
    joint = "" if language == "zh" else " "
    borrowed: list[str] = []
    for document in islice(read_demo(name, "skip"), number):
        paragraphs = [SENTENCE_END.split(line) for line in normalize(document.text).split("\n") if line.strip()]
        mine = [part for parts in paragraphs for part in parts if len(part) > 40 and ENDED.search(part)][::5]
        for sentence in borrowed:
            rng.choice(paragraphs).insert(1, sentence)
        borrowed = mine
        most = rng.choice(COLUMNS)
        yield "\n\n".join(wrapped(joint.join(parts), most) for parts in paragraphs)


def removals(path: Path) -> list[Removal]:
    """Return what the data step takes out of the texts of a file."""
    found = []

    def record(text: str, gone: Sequence[tuple[int, int]]) -> str:
        runs: list[list[int]] = []
        for start, size in gone:
            if runs and runs[-1][1] == start:
                runs[-1][1] += size
            else:
                runs.append([start, start + size])
        found.extend(Removal(text[:start], text[start:end], text[end:]) for start, end in runs)
        return remove_spans(text, gone)

    remove_spans = write.remove_spans
    with tempfile.TemporaryDirectory() as scratch, patch.object(write, "remove_spans", record):
        build_corpus(CorpusConfig(DataConfig({"text": str(path)})), RunnerConfig(workers=1), Path(scratch) / "data")
    return found


def flagged(removal: Removal) -> bool:
    """Return whether what is left may break off in the middle of a sentence."""
    above, below = removal.before.rstrip(), removal.after.lstrip()
    lines = removal.before.split("\n")
    last, following = above.rpartition("\n")[2].strip(), below.partition("\n")[0].strip()
    around = [line.strip() for line in (*above.split("\n")[-2:], *below.split("\n")[:2]) if line.strip()]
    if ENTRY.match(last) or (len(around) > 2 and all(columns(line) <= VERSE for line in around)):
        return False
    heading = not lines[-1].strip() and columns(last) <= HEADING
    breaks_off = bool(last) and not ENDED.search(last) and not heading
    return breaks_off or (following[:1].islower() and not ENTRY.match(following))


def sources(corpora: Sequence[Path], scratch: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name, file of JSON lines) of each source."""
    for directory in corpora:
        for path in sorted(directory.glob("*.jsonl.gz")):
            yield path.name.removesuffix(".jsonl.gz"), path
    for language, (name, _) in DEMO.items():
        path = scratch / f"{name}.jsonl"
        rows = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in wrapped_copy(language))
        path.write_text("".join(rows), encoding="utf-8")
        yield f"{name}, wrapped", path


def main() -> None:
    """Print the share of removals that are flagged, and some of them."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpora", type=Path, action="append", default=[], help="a directory of more texts")
    arguments.add_argument("--show", type=int, default=0, metavar="N", help="flagged removals that are printed")
    arguments.add_argument("--all", action="store_true", help="print others too")
    args = arguments.parse_args()
    shown: list[tuple[str, Removal]] = []
    print(f"{'source':28} {'removals':>9} {'flagged':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        for name, path in sources(args.corpora, Path(scratch)):
            try:
                found = removals(path)
            except UserError:  # a source of one document is no domain
                continue
            bad = [removal for removal in found if flagged(removal)]
            shown += [(name, removal) for removal in (found if args.all else bad)]
            print(f"{name:28} {len(found):9,} {len(bad):8,} {len(bad) / max(1, len(found)):7.2%}", flush=True)
    random.Random(0).shuffle(shown)
    for name, removal in shown[: args.show]:
        print(f"\n--- {name}\n{removal.before[-150:]}⟦{removal.gone}⟧{removal.after[:100]}")


if __name__ == "__main__":
    main()
