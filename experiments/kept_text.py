"""What the data step keeps of every source, as of a revision and as of now: a table, and what went newly.

Command: python -m experiments.kept_text --corpora DIR [--eval DIR] --baseline REV   Cost: two runs of the data step.

Sources are the demo corpora and the files NAME.LANGUAGE.jsonl.gz of each DIR. --eval: files and folders of evaluation
sets, which are searched for as contamination. Of each source from which more than 1 % of the characters or documents
went, the documents that went newly are listed with their reasons, then those that lost most, with what they lost.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from baichuan_jax.core.errors import UserError
from experiments.revisions import ROOT, checked_out, run_in

DEMO = ("zh_reviews", "zh_news", "en_speeches", "code")
SETS = ("*.jsonl", "*.jsonl.gz", "*.json", "*.csv", "*.zip")
DROP = 0.01
LISTED, SHOWN = 12, 160  # documents of a source; characters of a passage


def kept_of(tree: Path, sources: dict[str, str], sets: dict[str, str]) -> dict:
    """Return what the data step of a tree keeps and removes, as `data_step` writes it."""
    with tempfile.TemporaryDirectory() as directory:
        texts = Path(directory) / "texts.json"
        run_in(
            tree, ROOT / "experiments/data_step.py", {"sources": sources, "evaluation_sets": sets, "texts": str(texts)}
        )
        return json.loads(texts.read_text(encoding="utf-8"))


def find_sources(corpora: Sequence[Path]) -> dict[str, str]:
    """Return {domain: source}."""
    found = {name: f"demo:{name}" for name in DEMO}
    for path in (path for directory in corpora for path in sorted(directory.resolve().glob("*.*.jsonl.gz"))):
        found[path.name.removesuffix(".jsonl.gz").replace("-", "_").replace(".", "_").lower()] = str(path)
    return found


def find_sets(directory: Path | None) -> dict[str, str]:
    """Return {name: files} of the evaluation sets in a directory: a file is one, and so are those of a folder."""
    if directory is None:
        return {}
    places = [place for place in sorted(directory.resolve().iterdir()) if place.is_dir()]
    found = {f"{place.name} {kind}": str(place / kind) for place in places for kind in SETS if any(place.glob(kind))}
    return found | {path.stem: str(path) for kind in SETS for path in sorted(directory.resolve().glob(kind))}


def show(before: dict, now: dict) -> None:
    """Print the table, and what went newly where much did."""
    domains = sorted(before["kept"].keys() | now["kept"].keys())
    print("| source | documents | now | characters | now | change |\n|---|---|---|---|---|---|")
    dropped = []
    for domain in domains:
        old, new = before["kept"].get(domain, {}), now["kept"].get(domain, {})
        sizes = [sum(map(len, texts.values())) for texts in (old, new)]
        change = sizes[1] / sizes[0] - 1 if sizes[0] else float("inf")
        print(f"| {domain} | {len(old):,} | {len(new):,} | {sizes[0]:,} | {sizes[1]:,} | {change:+.2%} |")
        if change < -DROP or len(new) < (1 - DROP) * len(old):
            dropped.append(domain)
    for domain in dropped:
        _show_dropped(domain, before, now)


def _show_dropped(domain: str, before: dict, now: dict) -> None:
    old, new = before["kept"].get(domain, {}), now["kept"].get(domain, {})
    reasons = now["removed"].get(domain, {})
    gone = [source for source in old if source not in new]
    counts = Counter(reasons.get(source, "?") for source in gone)
    print(f"\n{domain}: {len(gone)} documents went newly: {dict(counts)}; {len(new.keys() - old.keys())} came newly")
    print(f"    sentences taken out: {before['pruned'].get(domain)} before, {now['pruned'].get(domain)} now")
    for source in sorted(gone, key=lambda source: -len(old[source]))[:LISTED]:
        print(f"    went: {Path(source).name} ({reasons.get(source, '?')}): {_shown(old[source])}")
    losses = {source: len(old[source]) - len(new[source]) for source in old.keys() & new.keys()}
    for source in sorted(losses, key=lambda source: -losses[source])[:LISTED]:
        if losses[source] > 0:
            print(f"    lost {losses[source]:,} of {len(old[source]):,}: {Path(source).name}")
            for line in _lines_lost(old[source], new[source])[:3]:
                print(f"        {_shown(line)}")


def _lines_lost(old: str, new: str) -> list[str]:
    """Return the lines of a text that are not in the other, the longest first."""
    return sorted({line for line in old.split("\n") if line.strip() and line not in new}, key=len, reverse=True)


def _shown(text: str) -> str:
    return " ".join(text[: 2 * SHOWN].split())[:SHOWN]


def main() -> None:
    """Compare two revisions."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpora", type=Path, action="append", default=[], help="a directory of texts")
    arguments.add_argument("--eval", type=Path, help="a directory of evaluation sets")
    arguments.add_argument("--baseline", required=True, metavar="REV", help="the commit to compare with")
    args = arguments.parse_args()
    sources, sets = find_sources(args.corpora), find_sets(args.eval)
    try:
        with checked_out(args.baseline) as tree:
            before = kept_of(tree, sources, sets)
    except UserError as error:
        arguments.error(str(error))
    show(before, kept_of(ROOT, sources, sets))


if __name__ == "__main__":
    main()
