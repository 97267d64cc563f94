"""What text goes through, as functions of one text: the rules, the readers, the searches, the tokenizers."""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dedup.occurrences import occurrences
from baichuan_jax.data.dedup.signatures import signatures
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.run_phases import build_corpus
from baichuan_jax.data.quality.model import LinearModel
from baichuan_jax.data.rules.blocked import BlockedWords
from baichuan_jax.data.rules.cleaner import Cleaner
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.facts import facts
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.rules.normalize_many import normalize_many
from baichuan_jax.data.rules.repetition import repeated_share
from baichuan_jax.data.rules.sentences import split_sentences
from baichuan_jax.data.select.config import SelectConfig
from baichuan_jax.data.sources.html import looks_like_html
from baichuan_jax.data.sources.peoples_daily import articles
from baichuan_jax.data.sources.units import read_unit, source_units
from baichuan_jax.generate.text import TextStream
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.measure import Meter
from baichuan_jax.tokenizer.sample import pieces
from baichuan_jax.tokenizer.tokenizer_files import load_tokenizer

Target = Callable[[str], object]
FEATURES = 12
STOPS = ("\n\n", "。", "aaaaab", "</s>")


def rules() -> dict[str, Target]:
    """Return what the data step does with a text that was read."""
    cleaner, bare = Cleaner(FilterConfig()), Cleaner(FilterConfig(sentences=False))
    blocked = BlockedWords(["bad word", "aaaaaaab", "坏词", "坏东西"])
    weights = np.random.default_rng(0).normal(size=(1 << FEATURES) + 1).astype(np.float32)
    model = LinearModel(weights, 8.0)
    return {
        "rules": lambda text: list(cleaner([text])),
        "rules for documents": lambda text: list(bare([text])),
        "normalize": normalize,
        "normalize_many": lambda text: normalize_many([text]),
        "facts": lambda text: facts([text]),
        "sentences": lambda text: split_sentences([text]),
        "sentences to compare": lambda text: occurrences(split_sentences([text]), ["zh"]),
        "repetition": lambda text: [repeated_share(text, language) for language in ("zh", "en")],
        "blocked words": blocked.count,
        "signatures": lambda text: signatures([text]),
        "quality": lambda text: model.score([text]),
    }


def readers(folder: Path) -> dict[str, Target]:
    """Return the readers of every format, over a file that holds the text, or is it."""
    whole = {"text": lambda text: text, "json": lambda text: json.dumps({"text": text}, ensure_ascii=False)}
    formats = {
        "a text file": (".txt", whole["text"]),
        "a web page": (".html", whole["text"]),
        "the body of a web page": (".html", lambda text: f"<html><body><p>{text}</p></body></html>"),
        "JSON lines": (".jsonl", whole["json"]),
        "broken JSON lines": (".jsonl", whole["text"]),
        "JSON": (".json", whole["text"]),
        "CSV": (".csv", lambda text: f"text,more\n{text}\n"),
        "a cell of CSV": (".csv", lambda text: 'text,more\n"' + text.replace('"', '""') + '",1\n'),
        "Markdown": (".md", whole["text"]),
    }

    def reader(suffix: str, write: Callable[[str], str]) -> Target:
        path = folder / f"one{suffix}"

        def read(text: str) -> None:
            path.write_text(write(text), encoding="utf-8", errors="replace", newline="")
            cfg = DataConfig({"one": str(path)})
            with suppress(UserError):  # it may be refused, quickly
                for unit in source_units(cfg):
                    deque(read_unit(unit, cfg), maxlen=0)

        return read

    found = {name: reader(*how) for name, how in formats.items()}
    return {**found, "a page's beginning": looks_like_html, "news": lambda text: list(articles(text.splitlines()))}


def tokenizers(folder: Path) -> dict[str, Target]:
    """Return what tokenizers do with a text. folder: with one of each kind."""
    found: dict[str, Target] = {"lines to train on": lambda text: list(pieces(text))}
    for path in (folder / "ours.model", folder / "theirs.tokenizer.json", folder / "ranks.tiktoken"):
        tokenizer = load_tokenizer(path)
        found[f"encode, {path.name}"] = lambda text, tokenizer=tokenizer: tokenizer.encode_batch([_whole(text)])
        found[f"encode with special ids, {path.name}"] = lambda text, t=tokenizer: t.encode(_whole(text), specials=True)
        found[f"stream, {path.name}"] = lambda text, tokenizer=tokenizer: _stream(tokenizer, _whole(text))
    meter = Meter(load_tokenizer(folder / "ours.model"))
    return {**found, "measure": lambda text: meter.measure([_whole(text)])}


def _whole(text: str) -> str:
    return text.encode(errors="replace").decode()


def _stream(tokenizer: AnyTokenizer, text: str) -> None:
    stream = TextStream(tokenizer, STOPS)
    for number, byte in enumerate(text.encode()[::5]):  # of the ids of a text there are fewer than bytes
        stream.push([(byte + 256 * (number % 2)) % tokenizer.vocab])


def flow(folder: Path) -> Target:
    """Return the whole data step over a document and some others, with an evaluation set that has parts of it."""
    others = [
        f"In the year {1900 + year} the harvest of plot {year * 7} was weighed by {year + 2} people of the village."
        for year in range(30)
    ]

    def run(text: str) -> None:
        texts, tests, out = folder / "flow.jsonl", folder / "test.jsonl", folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        lines = (json.dumps({"text": part}) for part in (_whole(text), *others))
        texts.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        tests.write_text(json.dumps({"question": _whole(text[:5000])}) + "\n", encoding="utf-8")
        cfg = CorpusConfig(DataConfig({"one": str(texts)}), select=SelectConfig(evaluation_sets={"test": str(tests)}))
        build_corpus(cfg, RunnerConfig(), out)

    run("What is imported at the first call is not timed.")
    return run
