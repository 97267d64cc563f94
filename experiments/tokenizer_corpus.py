"""Shared by the tokenizer experiments: text cleaned and split by the data step, and its domains by language."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from baichuan_jax.core.errors import require
from baichuan_jax.core.files import digest, fingerprint
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dataset import domains, read_documents
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.run_phases import build_corpus
from baichuan_jax.data.select.config import SelectConfig
from baichuan_jax.data.select.records import set_rows
from baichuan_jax.data.sources.units import source_files
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.lab.sweep import Point, Progress, unit
from baichuan_jax.recipe.table import STAGES
from baichuan_jax.tokenizer.sample import Documents

CORPORA, TOKENIZERS = "../shared/data/corpora", "../shared/data/tokenizers"  # where they often are; never needed
DEMO = {"zh_reviews": "zh", "zh_news": "zh", "en_speeches": "en", "code": "code"}
# A book is one document, and one of them stands in a collection as well: together they are a domain.
BOOKS = {"four_classics_zh": "books_zh", "sanguo_zh": "books_zh", "zuozhuan_zh": "books_zh"}
VALIDATION = 0.05  # of the documents of each domain


def existing(name: str, value: str, default: str) -> Path | None:
    """Return a folder, or None if it is the default and absent. Raise UserError if another one is absent."""
    folder = Path(value)
    require(folder.is_dir() or value in (default, ""), name, value, "a folder that exists, or ''")
    return folder if value and folder.is_dir() else None


def sources(corpora: Path | None) -> dict[str, str]:
    """Return the source of every domain: the demo corpora, and NAME.LANGUAGE.jsonl.gz as NAME_LANGUAGE."""
    found = {name: f"demo:{name}" for name in DEMO}
    for path in sorted(corpora.glob("*.*.jsonl.gz")) if corpora else ():
        name = path.name.removesuffix(".jsonl.gz").replace("-", "_").replace(".", "_").lower()
        name = BOOKS.get(name, name)
        found[name] = f"{found[name]};{path}" if name in found else str(path)
    return found


def language(domain: str) -> str:
    """Return zh, en or code."""
    return DEMO.get(domain, domain.rpartition("_")[2])


def make_corpus(corpora: Path | None, max_bytes: int, directory: Path, progress: Progress) -> tuple[Path, str]:
    """Run the data step over all domains once; return the directory of the corpus, and its identity.

    A document is in one split, and nothing in the other is equal or nearly equal to it.
    """
    found = sources(corpora)
    files = [path for spec in found.values() for path in source_files(spec)]
    contents = sorted(entry["sha256"] for entry in fingerprint(files).values())
    point: Point = {
        "corpus": digest(repr((sorted(found), contents))),
        "version": len(STAGES["data"].changes),  # older code has made another corpus of it
        "max_bytes": max_bytes,
        "held_out": VALIDATION,
    }
    stage = unit(directory / "units", "data", point)
    cfg = CorpusConfig(
        data=DataConfig(sources=found, max_bytes=max_bytes), select=SelectConfig(validation_fraction=VALIDATION)
    )
    runner = RunnerConfig(workers=2)
    stage.run(
        lambda folder: build_corpus(cfg, runner, folder, lambda *step: progress(f"tasks of data, {step[0]}", *step[1:]))
    )
    return stage.directory, stage.identity


def train_documents(corpus: Path, without: Sequence[str] = ()) -> Documents:
    """Return the documents to train on by domain."""
    return {
        name: partial(read_documents, corpus, name, "train", fields=("text", "language"))
        for name in domains(corpus)
        if name not in without
    }


def held_out(corpus: Path) -> dict[str, list[str]]:
    """Return the held-out texts of every domain that has some."""
    texts = {name: [d["text"] for d in read_documents(corpus, name, "validation")] for name in domains(corpus)}
    return {name: found for name, found in texts.items() if found}


def unseen(sets: dict[str, str], limit: int = 400_000) -> dict[str, list[str]]:
    """Return texts of files that are no domain, {NAME_LANGUAGE: path or glob}; an absent file is skipped.

    Strings with a letter are sampled at even steps, up to `limit` characters per file.
    """
    found = {}
    for name, pattern in sets.items():
        if not Path(pattern).exists() and not any(Path().glob(pattern)):
            continue
        rows = (row for _, row in set_rows(pattern))
        all_strings = (string for row in rows for string in (*row.context, *row.stem, *row.choices, *row.extras))
        strings = [string for string in all_strings if len(string) >= 20 and _in_language(string, name)]
        step = max(1, sum(map(len, strings)) // limit)
        found[name] = strings[::step]
    return found


def _in_language(text: str, name: str) -> bool:
    """Return whether a text is Chinese (for zh), or mostly ASCII (for en)."""
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in text)
    return 3 * chinese >= len(text) if language(name) == "zh" else chinese == 0


def macro(rates: dict[str, float], kind: str) -> float | None:
    """Return the unweighted mean over the domains of a language."""
    found = [rate for domain, rate in rates.items() if language(domain) == kind]
    return mean(found) if found else None
