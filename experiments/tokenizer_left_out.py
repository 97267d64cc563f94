"""How well does our tokenizer compress a domain that was left out of its training?

Command: baichuan-jax experiment tokenizer_left_out
Cost: five minutes on two cores, 2.1 GB of memory, with all text that `corpora` may name.

For every family of domains (a manual and its translation) a tokenizer is trained without them. It is measured on their
held-out documents and compared with one trained with them, and with Baichuan-7B's.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from baichuan_jax.core.files import fingerprint
from baichuan_jax.core.settings import setting
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import BLUE, GREY, SKY, Plot, bar_height, bars
from baichuan_jax.lab.sweep import Point, Progress, run_units
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.measure import Measured, Meter
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.stages import MODEL, make_tokenizer
from baichuan_jax.tokenizer.tokenizer_files import find_tokenizers, load_tokenizer
from experiments.tokenizer_corpus import (
    CORPORA,
    DEMO,
    TOKENIZERS,
    existing,
    held_out,
    language,
    macro,
    make_corpus,
    train_documents,
)

REFERENCE = "baichuan-7b"
DEBUG = (
    *("TokenizerLeftOut.vocab=3500", "TokenizerLeftOut.max_bytes=80000", "TokenizerLeftOut.corpora=''"),
    *("TokenizerLeftOut.tokenizers=''", "TokenizerLeftOut.words=0.0"),
)


@dataclass(frozen=True)
class TokenizerLeftOut:
    """Settings as in tokenizer_compression, for one size."""

    workdir: str = setting("runs/experiments/tokenizer_left_out", "directory of units, tables, plots and report")
    corpora: str = setting(
        CORPORA, "folder of NAME.LANGUAGE.jsonl.gz to train on besides the demo corpora; '' for none"
    )
    tokenizers: str = setting(TOKENIZERS, "folder of tokenizers to compare with; '' for none")
    max_bytes: int = setting(0, "bytes of text read per domain; 0 is all")
    vocab: int = setting(64_000, "number of pieces")
    words: float = setting(0.45, "share of word lists in the sample")


def family(domain: str) -> str:
    """Return the common name of a domain and its translation: debian_handbook for debian_handbook_en."""
    return domain if domain in DEMO else re.sub(r"_(zh|en)(_.*)?$", "", domain)


def run(cfg: TokenizerLeftOut, directory: Path, progress: Progress) -> Outcome:
    """Train with everything, and without each family; measure the families."""
    corpora = existing("TokenizerLeftOut.corpora", cfg.corpora, CORPORA)
    folder = existing("TokenizerLeftOut.tokenizers", cfg.tokenizers, TOKENIZERS)
    corpus, identity = make_corpus(corpora, cfg.max_bytes, directory, progress)
    texts = held_out(corpus)
    families = list(dict.fromkeys(map(family, texts)))

    def build(point: Point, folder: Path) -> dict:
        without = [domain for domain in train_documents(corpus) if family(domain) == point["without"]]
        made = make_tokenizer(
            TokenizerConfig(vocab=point["vocab"], words=point["words"]), train_documents(corpus, without), folder
        )
        meter = Meter(SentencePieceTokenizer(folder / MODEL))
        wanted = without or texts
        return {**made, "held out": {name: asdict(meter.measure(texts[name])) for name in wanted if name in texts}}

    sweep = [{"corpus": identity, "vocab": cfg.vocab, "words": cfg.words, "without": name} for name in ("", *families)]
    whole, *parts = run_units(directory / "units", sweep, build, progress, "left_out")
    rates = {
        "seen": _rates(whole["held out"]),
        "left out": {name: rate for part in parts for name, rate in _rates(part["held out"]).items()},
    }
    theirs = find_tokenizers(folder).get(REFERENCE) if folder else None
    if theirs:
        rates[REFERENCE] = _measured(theirs, texts, identity, directory, progress)
    return tell(rates)


def _rates(counts: dict[str, dict]) -> dict[str, float]:
    return {domain: Measured(**count).per_character for domain, count in counts.items()}


def _measured(file: Path, texts: dict, identity: str, directory: Path, progress: Progress) -> dict[str, float]:
    def build(point: Point, folder: Path) -> dict:
        meter = Meter(load_tokenizer(file))
        return {"held out": {name: asdict(meter.measure(found)) for name, found in texts.items()}}

    point = {"corpus": identity, "file": fingerprint([file])[str(file)]["sha256"][:16]}
    return _rates(run_units(directory / "units", [point], build, progress, "measure")[0]["held out"])


def tell(rates: dict[str, dict[str, float]]) -> Outcome:
    """Return table, bars and summary. rates: of "seen", "left out" and optionally the reference."""
    rows = []
    for domain in rates["left out"]:
        values = [rates[name][domain] for name in rates]
        rows.append([domain, language(domain), *values, *([values[1] / values[2]] if REFERENCE in rates else [])])
    means = {name: [macro(found, kind) for kind in ("zh", "en")] for name, found in rates.items()}
    said = "; ".join(f"{name} {zh:.3f} and {en:.3f}" for name, (zh, en) in means.items())
    table = Table(
        "left_out",
        "Tokens per character of documents held out",
        ["domain", "language", *rates, *(["left out / " + REFERENCE] if REFERENCE in rates else [])],
        rows,
        "Seen: trained on other documents of the domain. Left out: trained on no document of it or of its translation.",
    )
    plot = Plot(
        "left_out",
        "Domains left out of training",
        "Tokens per character by domain; the table has the numbers.",
        partial(
            bars,
            names=list(rates["left out"]),
            series={name: [found[domain] for domain in rates["left out"]] for name, found in rates.items()},
            colors=(SKY, BLUE, GREY),
            unit="tokens per character",
        ),
        bar_height(len(rates["left out"]), len(rates)),
    )
    return Outcome(f"Tokens per character of Chinese and of English, means over domains: {said}.", [table], [plot])
