"""Speed of the data step: the rules, the whole flow, and MinHash beside datatrove and rensa.

Command: make bench-data   (or: python -m experiments.benchmarks.bench_data [--corpora DIR ...] [--passages N]
[--baseline REV]) With --baseline (make bench-data BASELINE=REV) the rules and the whole flow are run three times in
turn with the package of that revision and with this one, each time in a new process; peers are left out. Cost: five
minutes; almost all of it is datatrove's. Peers: pip install spacy jieba rensa 'xxhash<3.6' (datatrove's MinHash needs
the last); without them only ours runs.

The texts are web reviews, news, speeches and whatever each DIR holds (NAME.zh.jsonl.gz, NAME.en.jsonl.gz). Rates are
megabytes of UTF-8 in a second of processor time, so that one core is meant however many there are. MinHash is run on
passages with planted copies (experiments/benchmarks/planted_duplicates.py); F1 is of the pairs with a similarity of 0.8
at least that were found, and of the texts that went which are alike (0.75) to one that stays.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from datatrove.utils.logging import logger

from baichuan_jax.data.dedup.jaccard import ExactJaccard
from baichuan_jax.data.dedup.near_duplicates import BANDS, find_duplicates
from baichuan_jax.data.dedup.shingles import batches
from baichuan_jax.data.dedup.shingles import shingles as our_shingles
from baichuan_jax.data.dedup.signatures import PERMUTATIONS, signatures
from baichuan_jax.data.flow.phase_arrays import READ
from experiments.benchmarks.data_step import run_data_step
from experiments.benchmarks.planted_duplicates import (
    LANGUAGES,
    SHINGLE,
    TWIN,
    WORD,
    best_twin,
    jaccard,
    plant_documents,
    shingles,
    whole_texts,
)
from experiments.benchmarks.revisions import ROOT, checked_out, run_in

THRESHOLD = 0.8
MEMORY = 1 << 30  # bytes that our search may use
BATCH = 512
TURNS = 3  # of each revision
ROUNDS = 9  # of signatures, which take a second; datatrove takes a minute
NAMES = {"zh": "zho", "en": "eng"}  # of languages, in datatrove


def flow(corpora: Sequence[Path]) -> None:
    """Print the rates of the first phase, which has the rules, and of all together."""
    done = run_data_step(_flow_input(corpora))
    _show_size(done)
    rules, whole = _rates(done)
    print(f"rules, with reading and writing: {rules:.1f} MB/s; whole flow: {whole:.1f} MB/s")
    print("    seconds: " + ", ".join(f"{phase} {spent:.1f}" for phase, spent in done["seconds"].items()))


def compare(corpora: Sequence[Path], revision: str) -> None:
    """Print the rates of both as of a revision and as of now, and their ratios: medians of TURNS runs in turn."""
    what, found = _flow_input(corpora), {"before": [], "now": []}
    with checked_out(revision) as tree:
        for turn in range(TURNS):
            for name, place in (("before", tree), ("now", ROOT)):
                done = run_in(place, ROOT / "experiments/benchmarks/data_step.py", what)
                assert Path(done["package"]).is_relative_to(place), done["package"]
                found[name].append(_rates(done))
                if not turn:
                    print(f"{name}: ", end="")
                    _show_size(done)
    for at, title in enumerate(("rules, with reading and writing", "whole flow")):
        before, now = (median(rates[at] for rates in found[name]) for name in ("before", "now"))
        print(f"{title}: {before:.2f} MB/s as of {revision}, {now:.2f} MB/s now: {now / before:.3f} times")
        print("    runs: " + "; ".join(", ".join(f"{rates[at]:.2f}" for rates in runs) for runs in found.values()))


def _rates(done: dict) -> tuple[float, float]:
    """Return megabytes a second of the rules, with reading and writing, and of the whole flow."""
    return done["megabytes"] / done["seconds"][READ], done["megabytes"] / done["whole"]


def _show_size(done: dict) -> None:
    print(f"{done['megabytes']:.1f} MB in {done['documents']:,} documents, {done['kept']:.1f} MB kept", flush=True)


def _flow_input(corpora: Sequence[Path]) -> dict:
    """Return what `data_step` is given: the demo corpora, and the files of each directory."""
    paths = [path for directory in corpora for path in sorted(directory.resolve().glob("*.jsonl.gz"))]
    names = {path: re.sub(r"[^a-z0-9]+", "_", path.name.removesuffix(".jsonl.gz").lower()) for path in paths}
    sources = {f"texts_{name}": str(path) for path, name in names.items()}
    sources |= {name: f"demo:{name}" for name in ("zh_reviews", "zh_news", "en_speeches")}
    return {"sources": sources, "good": ["zh_news", "en_speeches"], "bad": ["zh_reviews", "rejected"]}


@dataclass(frozen=True)
class Sample:
    """Passages of a language with planted copies. pairs: indices of an original and its copy, if alike to THRESHOLD."""

    texts: list[str]
    pairs: list[tuple[int, int]]

    @classmethod
    def plant(cls, language: str, corpora: Sequence[Path], number: int) -> Sample:
        """Return a sample of so many passages, two thirds of them with copies."""
        texts, planted = plant_documents(language, corpora, number)
        sets = [shingles(text, SHINGLE) for text in texts]
        return cls(texts, [pair[:2] for pair in planted if jaccard(*(sets[at] for at in pair[:2])) >= THRESHOLD])

    def f1(self, gone: set[int]) -> tuple[float, float, float]:
        """Return (F1, recall, precision) of a search that removed these texts."""
        recall = sum(first in gone or second in gone for first, second in self.pairs) / len(self.pairs)
        kept = [text for at, text in enumerate(self.texts) if at not in gone]
        twins = best_twin([self.texts[at] for at in sorted(gone)], kept, SHINGLE)
        precision = sum(twin >= TWIN for twin in twins) / max(1, len(twins))
        return 2 * recall * precision / max(1e-9, recall + precision), recall, precision


def ours(texts: Sequence[str]) -> set[int]:
    """Return the texts that go: signatures, buckets, exact comparison."""
    return from_signatures(texts, our_signatures(texts))


def our_signatures(texts: Sequence[str]) -> np.ndarray:
    """Return uint32 [texts, PERMUTATIONS]."""
    return np.concatenate([signatures(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)])


def from_signatures(texts: Sequence[str], signed: np.ndarray) -> set[int]:
    """Return the texts that go, given their signatures; the longer of two is the better."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    rank = np.empty(len(texts), np.int64)
    rank[np.argsort(-lengths, kind="stable")] = np.arange(len(texts))
    alike = ExactJaccard(lambda indices: [texts[index] for index in indices], lengths)
    with tempfile.TemporaryDirectory() as scratch:
        stays = find_duplicates(signed, rank, alike, THRESHOLD, BANDS, MEMORY, Path(scratch))
    return set(np.flatnonzero(stays != np.arange(len(texts))).tolist())


def datatrove(language: str) -> Callable[[Sequence[str]], set[int]]:
    """Return datatrove's signatures, buckets and clusters, with its defaults, which are also 14 bands of 8 rows."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup.minhash import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature

    logger.remove()  # what datatrove tells on standard error
    signature = MinhashDedupSignature(".", language=NAMES[language])
    signature.get_shingles("warm up 你好")  # loads the tokenizer

    def search(texts: Sequence[str]) -> set[int]:
        documents = (Document(text=text, id=str(at)) for at, text in enumerate(texts))
        with tempfile.TemporaryDirectory() as directory:
            place = lambda name: f"{directory}/{name}"
            first = MinhashDedupSignature(place("signatures"), language=NAMES[language])
            first.word_tokenizer = signature.word_tokenizer
            first.run(documents, 0, 1)
            for bucket in range(14):
                MinhashDedupBuckets(place("signatures"), place("buckets")).run(None, bucket, 14)
            MinhashDedupCluster(place("buckets"), place("removed")).run(None, 0, 1)
            return {int(at) for path in Path(directory).glob("removed/*") for at in np.fromfile(path, "<u4")}

    return search


def rensa_signatures(texts: Sequence[str]) -> np.ndarray:
    """Return those of rensa for the shingles that ours are of, as strings, uint32 [texts, PERMUTATIONS]."""
    from rensa import RMinHash

    def pieces(text: str) -> list[str]:
        words = WORD.findall(text.lower())
        return [" ".join(run) for run in zip(*(words[at:] for at in range(SHINGLE)))] or [" ".join(words)]

    return np.array(RMinHash.digests_from_token_sets(map(pieces, texts), PERMUTATIONS, 42), np.uint32)


def rensa_from_hashes(texts: Sequence[str]) -> np.ndarray:
    """Return those of rensa for the very shingles that ours are of, hashed by us, uint32 [texts, PERMUTATIONS]."""
    from rensa import RMinHash

    parts = []
    for _, pieces in batches(texts):
        hashes, numbers = our_shingles(pieces)
        offsets = np.append(0, np.cumsum(numbers)).astype(np.uint64)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes.astype(np.uint64), offsets, PERMUTATIONS, 42)
        parts.append(np.array(matrix.to_rows(), np.uint32))
    return np.concatenate(parts)


def peers(language: str, corpora: Sequence[Path], passages: int) -> None:
    """Print ours beside the peers: rates on all texts of the language, F1 and recall on planted copies."""
    texts = whole_texts(language, corpora)
    size = sum(len(text.encode()) for text in texts) / 1e6
    sample = Sample.plant(language, corpora, passages)
    ours(sample.texts[:BATCH])  # tables are made once
    print(f"{language}: {size:.1f} MB, {len(texts):,} documents; {len(sample.pairs)} planted pairs")
    contenders = {"ours": lambda: ours, "datatrove": lambda: datatrove(language)}
    _compare("signatures, buckets, clusters", contenders, texts, size, lambda run: sample.f1(run(sample.texts)), 1)
    contenders = {
        "ours": lambda: our_signatures,
        "rensa on strings": lambda: rensa_signatures,
        "rensa on our hashes": lambda: rensa_from_hashes,
    }
    found = lambda run: sample.f1(from_signatures(sample.texts, run(sample.texts)))
    _compare("signatures alone", contenders, texts, size, found, ROUNDS)


def _compare(
    title: str, contenders: dict[str, Callable], texts: Sequence[str], size: float, figures: Callable, rounds: int
) -> None:
    """Print a line for each contender, of medians; the first is ours, and all take turns."""
    print(f"    {title}")
    runs, scores = {}, {}
    for name, make in contenders.items():
        try:
            run = make()
            scores[name] = figures(run)
        except ImportError as error:
            print(f"        {name} was not run: {error}; pip install spacy jieba rensa 'xxhash<3.6'")
            continue
        runs[name] = run
    seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run(texts)
            seconds[name].append(time.process_time() - start)
    base = np.array(next(iter(seconds.values())))
    for name, times in seconds.items():
        said = "F1 {:.4f}, recall {:.4f}, precision {:.4f}".format(*scores[name])
        ratio = np.median(np.array(times) / base)
        print(f"        {name:20} {size / np.median(times):6.2f} MB/s, {said}; ours is {ratio:.2f} x", flush=True)


def main() -> None:
    """Measure all."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpora", type=Path, action="append", default=[], help="a directory of more texts")
    arguments.add_argument("--passages", type=int, default=2000, help="of each language, in which copies are planted")
    arguments.add_argument("--baseline", metavar="REV", help="a commit whose data step is run in turn with this one")
    args = arguments.parse_args()
    if args.baseline:
        compare(args.corpora, args.baseline)
        return
    flow(args.corpora)
    for language in LANGUAGES:
        peers(language, args.corpora, args.passages)


if __name__ == "__main__":
    main()
