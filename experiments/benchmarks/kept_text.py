"""What the data step keeps of every source, as of a revision and as of now: a table, and what went newly.

Command: python -m experiments.benchmarks.kept_text --corpora DIR [--eval DIR] --baseline REV   Cost: two runs of the
data step.

Sources are the demo corpora and the files NAME.LANGUAGE.jsonl.gz of DIR. --eval: files and folders of evaluation
sets, which are searched for as contamination. Of each source from which more than 1 % of the characters or documents
went, the documents that went newly are listed with their reasons, then those that lost most, with what they lost.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from baichuan_jax.core.errors import UserError
from experiments.benchmarks.revisions import ROOT, checked_out, run_in
from experiments.tokenizer_corpus import DEMO, sources

SETS = ("*.jsonl", "*.jsonl.gz", "*.json", "*.csv", "*.zip")
DROP = 0.01
NO_REASON = "no reason on record"  # only so many samples of a reason are kept
LISTED, SHOWN = 12, 160  # documents of a source; characters of a passage


@dataclass(frozen=True)
class Kept:
    """What a data step made of each source. texts: {source: {document: text}}. removed: {document: reason}."""

    texts: dict[str, dict[str, str]]
    removed: dict[str, str]


def kept_of(tree: Path, found: dict[str, str], sets: dict[str, str]) -> Kept:
    """Return what the data step of a tree makes of {domain: source}."""
    with tempfile.TemporaryDirectory() as directory:
        texts = Path(directory) / "texts.json"
        what = {"sources": found, "evaluation_sets": sets, "texts": str(texts)}
        run_in(tree, ROOT / "experiments/benchmarks/data_step.py", what)
        return by_source(json.loads(texts.read_text(encoding="utf-8")))


def by_source(made: dict) -> Kept:
    """Return what `data_step` writes of domains by source: a domain of demo text, or a file."""
    texts: dict[str, dict[str, str]] = {}
    for domain, documents in made["kept"].items():
        for place, text in documents.items():
            texts.setdefault(domain if domain in DEMO else Path(place.rpartition(":")[0]).name, {})[place] = text
    return Kept(texts, {place: why for entries in made["removed"].values() for place, why in entries.items()})


def find_sets(directory: Path | None) -> dict[str, str]:
    """Return {name: files} of the evaluation sets in a directory: a file is one, and so are those of a folder."""
    if directory is None:
        return {}
    places = [place for place in sorted(directory.resolve().iterdir()) if place.is_dir()]
    found = {f"{place.name} {kind}": str(place / kind) for place in places for kind in SETS if any(place.glob(kind))}
    return found | {path.stem: str(path) for kind in SETS for path in sorted(directory.resolve().glob(kind))}


def show(before: Kept, now: Kept) -> None:
    """Print the table, and what went newly where much did."""
    print("| source | documents | now | characters | now | change |\n|---|---|---|---|---|---|")
    dropped = []
    for source in sorted(before.texts.keys() | now.texts.keys()):
        old, new = before.texts.get(source, {}), now.texts.get(source, {})
        sizes = [sum(map(len, texts.values())) for texts in (old, new)]
        change = f"{sizes[1] / sizes[0] - 1:+.2%}" if sizes[0] else "new"
        print(f"| {source} | {len(old):,} | {len(new):,} | {sizes[0]:,} | {sizes[1]:,} | {change} |")
        if sizes[1] < (1 - DROP) * sizes[0] or len(new) < (1 - DROP) * len(old):
            dropped.append(source)
    for source in dropped:
        _show_dropped(source, before.texts[source], now.texts.get(source, {}), now.removed)


def _show_dropped(source: str, old: dict[str, str], new: dict[str, str], removed: dict[str, str]) -> None:
    gone = [place for place in old if place not in new]
    counts = dict(Counter(removed.get(place, NO_REASON) for place in gone))
    print(f"\n{source}: {len(gone)} documents went newly: {counts}; {len(new.keys() - old.keys())} came newly")
    for place in sorted(gone, key=lambda place: -len(old[place]))[:LISTED]:
        print(f"    went: {Path(place).name} ({removed.get(place, NO_REASON)}): {_shown(old[place])}")
    losses = {place: len(old[place]) - len(new[place]) for place in old.keys() & new.keys()}
    for place in sorted(losses, key=lambda place: -losses[place])[:LISTED]:
        if losses[place] > 0:
            print(f"    lost {losses[place]:,} of {len(old[place]):,}: {Path(place).name}")
            for line in _lines_lost(old[place], new[place])[:3]:
                print(f"        {_shown(line)}")


def _lines_lost(old: str, new: str) -> list[str]:
    """Return the lines of a text that are not in the other, the longest first."""
    return sorted({line for line in old.split("\n") if line.strip() and line not in new}, key=len, reverse=True)


def _shown(text: str) -> str:
    return " ".join(text[: 2 * SHOWN].split())[:SHOWN]


def main() -> None:
    """Compare two revisions."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpora", type=Path, required=True, help="a directory of texts")
    arguments.add_argument("--eval", type=Path, help="a directory of evaluation sets")
    arguments.add_argument("--baseline", required=True, metavar="REV", help="the commit to compare with")
    args = arguments.parse_args()
    found, sets = sources(args.corpora.resolve()), find_sets(args.eval)
    try:
        with checked_out(args.baseline) as tree:
            before = kept_of(tree, found, sets)
    except UserError as error:
        arguments.error(str(error))
    show(before, kept_of(ROOT, found, sets))


if __name__ == "__main__":
    main()
